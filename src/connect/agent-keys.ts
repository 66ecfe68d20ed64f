import type { Duplex } from "node:stream";
import ssh2, {
  type BaseAgent,
  type GetStreamCallback,
  type ParsedKey,
  type SignCallback,
  type SigningRequestOptions,
} from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { namedAfter, type SignatureAlgorithm } from "./signature-algorithm.ts";

/** An agent lists its keys at once, or it hangs. */
const AGENT_MS = 10_000;

/** Gives ssh2 one key of an agent, and leaves signing to the agent that holds it. */
export class OfferedByAgent extends ssh2.BaseAgent<ParsedKey> {
  readonly #agent: BaseAgent;
  readonly #key: ParsedKey;
  readonly #algorithm: SignatureAlgorithm | undefined;
  readonly #signal: AbortSignal;
  #hasSigned = false;

  /** @param algorithm the only one to sign with; `undefined`: ssh2 chooses */
  constructor(agent: BaseAgent, key: ParsedKey, algorithm: SignatureAlgorithm | undefined, signal: AbortSignal) {
    super();
    this.#agent = agent;
    this.#key = key;
    this.#algorithm = algorithm;
    this.#signal = signal;
  }

  /** Whether the server wanted a signature, which it does for a key that opens the account, and got it. */
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
    this.#agent.sign(this.#key, data, hash ? { hash } : {}, (failure, signature) => {
      if (signature) this.#hasSigned = true;
      // After the end ssh2 would go on and offer the next key.
      if (!this.#signal.aborted) answer?.(failure, signature);
    });
  }
}

/**
 * The agent's keys, those first that `preferred` holds too: servers count attempts, and an agent may hold hundreds.
 *
 * @param socket the path of the agent's socket
 * @param signal ends every conversation with the agent, the ones about signatures too
 */
export async function agentKeys(
  socket: string,
  preferred: readonly Buffer[],
  signal: AbortSignal,
): Promise<{ agent: BaseAgent; keys: ParsedKey[] }> {
  const agent = ssh2.createAgent(socket);
  const onTimeout = () => new PluginError("timeout", `It did not list its keys within ${AGENT_MS} ms.`);
  const keys = await within({ signal, timeoutMs: AGENT_MS, onTimeout }, (over) => {
    return identities(withStreamsUntil(ssh2.createAgent(socket), over));
  });
  const rank = (key: ParsedKey) => (preferred.some((blob) => blob.equals(key.getPublicSSH())) ? 0 : 1);
  keys.sort((a, b) => rank(a) - rank(b));
  return { agent: withStreamsUntil(agent, signal), keys };
}

/** The agent, whose connections are closed when `signal` aborts: ssh2 keeps them while the agent does not answer. */
function withStreamsUntil(agent: BaseAgent, signal: AbortSignal): BaseAgent {
  const getStream = agent.getStream?.bind(agent);
  if (!getStream) return agent;
  agent.getStream = (callback: GetStreamCallback) => {
    getStream((failure, stream) => {
      if (stream) closeOn(signal, stream);
      callback(failure, stream);
    });
  };
  return agent;
}

function closeOn(signal: AbortSignal, stream: Duplex): void {
  const close = () => stream.destroy();
  signal.addEventListener("abort", close, { once: true });
  stream.once("close", () => signal.removeEventListener("abort", close));
  if (signal.aborted) close();
}

function identities(agent: BaseAgent): Promise<ParsedKey[]> {
  return new Promise((resolve, reject) => {
    agent.getIdentities((failure, keys) => {
      if (failure) return reject(failure);
      const parsed = (keys ?? []).map((key) => ssh2.utils.parseKey(key as ParsedKey) as ParsedKey | Error);
      resolve(parsed.filter((key): key is ParsedKey => !(key instanceof Error)));
    });
  });
}
