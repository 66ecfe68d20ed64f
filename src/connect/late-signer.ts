import ssh2, { type ParsedKey, type SignCallback, type SigningRequestOptions } from "ssh2";
import { namedAfter, type SignatureAlgorithm } from "./signature-algorithm.ts";

/** Signs `data`; with this hash if it is an RSA key's. */
export type Sign = (data: Buffer, hash: SigningRequestOptions["hash"]) => Promise<Buffer>;

/**
 * One key whose private half is fetched, or asked, only when the server wants a signature, which it does of a key that
 * opens the account. To ssh2 it is an agent with a single key.
 */
export class LateSigner extends ssh2.BaseAgent<ParsedKey> {
  readonly #key: ParsedKey;
  readonly #algorithm: SignatureAlgorithm | undefined;
  readonly #sign: Sign;
  readonly #signal: AbortSignal;
  #hasSigned = false;

  /**
   * @param key of which the public half is enough
   * @param algorithm the only one to sign with; `undefined`: ssh2 chooses
   * @param signal from then on nothing is answered
   */
  constructor(key: ParsedKey, algorithm: SignatureAlgorithm | undefined, sign: Sign, signal: AbortSignal) {
    super();
    this.#key = key;
    this.#algorithm = algorithm;
    this.#sign = sign;
    this.#signal = signal;
  }

  /** Whether the server wanted a signature, and got it. */
  get hasSigned(): boolean {
    return this.#hasSigned;
  }

  override getIdentities(callback: (failure: Error | null | undefined, keys?: ParsedKey[]) => void): void {
    callback(null, [this.#algorithm ? namedAfter(this.#algorithm, this.#key) : this.#key]);
  }

  override sign(
    _key: ParsedKey,
    data: Buffer,
    optionsOrCallback: SigningRequestOptions | SignCallback,
    callback?: SignCallback,
  ): void {
    const [options, answer] =
      typeof optionsOrCallback === "function" ? [{}, optionsOrCallback] : [optionsOrCallback, callback];
    const { hash = options.hash } = this.#algorithm ?? {};
    // After the end ssh2 would go on and offer the next key.
    const unlessOver = (settle: () => void) => this.#signal.aborted || settle();
    this.#sign(data, hash).then(
      (signature) => {
        this.#hasSigned = true;
        unlessOver(() => answer?.(null, signature));
      },
      (failure: Error) => unlessOver(() => answer?.(failure)),
    );
  }
}
