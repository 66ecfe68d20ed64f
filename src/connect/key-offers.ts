import type { AnyAuthMethod, BaseAgent, ParsedKey } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { agentKeys } from "./agent-keys.ts";
import type { AskingContext } from "./asked-secrets.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { fingerprint } from "./host-key.ts";
import { expandHome, type IdentityFile, identityFiles, publicHalf, readKeyFile, unlockKey } from "./identity-files.ts";
import { LateSigner, type Sign } from "./late-signer.ts";
import { namedAfter, type Permission, type SignaturePolicy, signaturePolicy } from "./signature-algorithm.ts";

/** Who logs in, and whom to ask and to tell meanwhile. */
export interface KeyOffersContext extends Pick<AskingContext, "target" | "tries" | "note" | "signal"> {
  /** Asks for the passphrase of a file; absent where nobody can be asked. */
  readonly passphrase: ((file: string) => Promise<string | undefined>) | undefined;
  /** Told what `passphrase` throws once a key was offered. */
  readonly fail: (failure: unknown) => void;
}

type KeyOptions = Pick<
  ConnectOptions,
  "identityFile" | "identityAgent" | "identitiesOnly" | "pubkeyAcceptedAlgorithms"
>;

/** The agent's keys that may be offered, and the agent itself. */
interface Held {
  readonly agent: BaseAgent;
  readonly keys: readonly ParsedKey[];
}

/**
 * Offers keys one by one, in OpenSSH's order: those of `identityFile` that the agent holds, the agent's others unless
 * `identitiesOnly`, the rest of `identityFile` from the files themselves.
 */
export class KeyOffers {
  readonly #options: KeyOptions;
  readonly #context: KeyOffersContext;
  readonly #policy: SignaturePolicy;
  readonly #files: readonly IdentityFile[];
  /** Of files that were unlocked: nobody needs to be asked twice. */
  readonly #unlocked = new Map<string, ParsedKey>();
  /** What has brought us a step further: a server takes no key twice. */
  readonly #accepted: Buffer[] = [];
  #held: Promise<Held | undefined> | undefined;
  #agentKeys: ParsedKey[] | undefined;
  #keyFiles: IdentityFile[];
  #offered: Buffer[] = [];
  /** What signs with the key that was offered last, if its private half was not at hand. */
  #signer: LateSigner | undefined;

  /** @throws {PluginError} `config-error` if `pubkeyAcceptedAlgorithms` leaves nothing to sign with */
  constructor(options: KeyOptions, context: KeyOffersContext) {
    this.#options = options;
    this.#context = context;
    this.#policy = signaturePolicy(options.pubkeyAcceptedAlgorithms);
    this.#files = identityFiles(options);
    this.#keyFiles = [...this.#files];
  }

  /** What `pubkeyAcceptedAlgorithms` names and cannot be done. */
  get unknownAlgorithms(): readonly string[] {
    return this.#policy.unknown;
  }

  /** How many keys of the agent are left. */
  get agentKeysLeft(): number {
    return this.#agentKeys?.length ?? 0;
  }

  /** Whether the key that was offered last is only looked for when the server wants a signature. */
  get isLate(): boolean {
    return this.#signer !== undefined;
  }

  /** Whether such a key was signed with: a server wants that of the right one only. */
  get hasSigned(): boolean {
    return this.#signer?.hasSigned ?? false;
  }

  /** The next key, or `undefined` when all were offered. */
  async next(): Promise<AnyAuthMethod | undefined> {
    this.#signer = undefined;
    this.#held ??= this.#askAgent();
    const held = await this.#held;
    this.#agentKeys ??= [...(held?.keys ?? [])];
    for (let key = this.#agentKeys.shift(); held && key; key = this.#agentKeys.shift()) {
      const offer = this.#fromAgent(held.agent, key);
      if (offer) return offer;
    }
    for (let file = this.#keyFiles.shift(); file; file = this.#keyFiles.shift()) {
      const offer = await this.#fromFile(file);
      if (offer) return offer;
    }
    return undefined;
  }

  /**
   * All keys may be offered again, because the server wants a further step.
   *
   * @param byKey whether the step before was the key that was offered last, which is of no more use
   */
  startAgain(byKey: boolean): void {
    const last = this.#offered.at(-1);
    if (byKey && last) this.#accepted.push(last);
    this.#signer = undefined;
    this.#agentKeys = undefined;
    this.#keyFiles = [...this.#files];
    this.#offered = [];
  }

  async #askAgent(): Promise<Held | undefined> {
    const { note, signal } = this.#context;
    const { identityAgent = process.env.SSH_AUTH_SOCK, identitiesOnly } = this.#options;
    if (!identityAgent || identityAgent === "none") return undefined;
    const socket = expandHome(identityAgent);
    try {
      const named = await Promise.all(this.#files.map(({ file }) => publicHalf(file)));
      const preferred = named.flatMap((key) => (key ? [key.getPublicSSH()] : []));
      const { agent, keys } = await agentKeys(socket, preferred, signal);
      if (keys.length === 0) note(`the agent at ${socket} holds no keys`);
      const isNamed = (key: ParsedKey) => preferred.some((blob) => blob.equals(key.getPublicSSH()));
      return { agent, keys: identitiesOnly ? keys.filter(isNamed) : keys };
    } catch (failure) {
      note(`the agent at ${socket} cannot be used (${(failure as Error).message})`);
      return undefined;
    }
  }

  #fromAgent(agent: BaseAgent, key: ParsedKey): AnyAuthMethod | undefined {
    return this.#late(key, "agent key", async (data, hash) => {
      return new Promise((resolve, reject) => {
        agent.sign(key, data, hash ? { hash } : {}, (failure, signature) => {
          if (signature) return resolve(signature);
          const why = failure?.message ?? "it gave no signature";
          this.#context.note(`the agent failed (${why})`);
          reject(failure ?? new PluginError("auth-failed", why));
        });
      });
    });
  }

  async #fromFile({ file, explicit }: IdentityFile): Promise<AnyAuthMethod | undefined> {
    // What the agent has offered was refused; nobody needs to unlock it once more.
    const known = await publicHalf(file);
    if (known && !this.#mayBeOffered(known.getPublicSSH())) return undefined;
    const unlocked = this.#unlocked.get(file);
    const found = unlocked ? { key: unlocked } : await readKeyFile(file);
    const from = `key file ${file}:`;
    if ("why" in found) {
      if (explicit || !found.missing) this.#context.note(`${from} ${found.why}`);
      return undefined;
    }
    if ("key" in found) return this.#now(found.key, from);
    if (known && this.#context.passphrase) {
      return this.#late(known, from, async (data, hash) =>
        signed(await this.#open(file, found.locked, known), data, hash),
      );
    }
    const opened = await this.#unlock(file, found.locked);
    return opened && this.#now(opened, from);
  }

  /** Offers a key whose private half is at hand. */
  #now(key: ParsedKey, from: string): AnyAuthMethod | undefined {
    const algorithm = this.#admit(key, from);
    if (algorithm === "none") return undefined;
    const offered = algorithm === "any" ? key : namedAfter(algorithm, key);
    return { type: "publickey", username: this.#context.target.user, key: offered as unknown as Buffer };
  }

  /** Offers a key with which to sign only if the server would have it. */
  #late(key: ParsedKey, from: string, sign: Sign): AnyAuthMethod | undefined {
    const algorithm = this.#admit(key, from);
    if (algorithm === "none") return undefined;
    this.#signer = new LateSigner(key, algorithm === "any" ? undefined : algorithm, sign, this.#context.signal);
    return { type: "agent", username: this.#context.target.user, agent: this.#signer };
  }

  /** As {@link #unlock}, for a key that was offered by its public half. */
  async #open(file: string, locked: Buffer, offered: ParsedKey): Promise<ParsedKey> {
    const key = await this.#unlock(file, locked).catch((failure: unknown) => {
      this.#context.fail(failure);
      return undefined;
    });
    if (key?.getPublicSSH().equals(offered.getPublicSSH())) return key;
    if (key) this.#context.note(`key file ${file}: the public half beside it is another key's`);
    throw new PluginError("auth-failed", `There is nothing to sign with in ${file}.`);
  }

  async #unlock(file: string, locked: Buffer): Promise<ParsedKey | undefined> {
    const { passphrase, tries, note } = this.#context;
    const opened = await unlockKey(locked, async () => passphrase?.(file), tries);
    if ("why" in opened) {
      note(`key file ${file}: ${opened.why}`);
      return undefined;
    }
    this.#unlocked.set(file, opened.key);
    return opened.key;
  }

  /** Takes note that the key is offered, or says why not. */
  #admit(key: ParsedKey, from: string): Permission {
    if (!this.#mayBeOffered(key.getPublicSSH())) return "none";
    const permission = this.#policy.permit(key.type);
    if (permission === "none") {
      this.#context.note(`${from} ${describe(key)} was left out: \`pubkeyAcceptedAlgorithms\` has nothing for it`);
    } else {
      this.#offered.push(key.getPublicSSH());
      this.#context.note(`${from} ${describe(key)}`);
    }
    return permission;
  }

  #mayBeOffered(blob: Buffer): boolean {
    return ![...this.#offered, ...this.#accepted].some((other) => other.equals(blob));
  }
}

/** @throws {PluginError} `auth-failed` for a key that cannot sign */
function signed(key: ParsedKey, data: Buffer, hash: Parameters<Sign>[1]): Buffer {
  const signature: Buffer | Error = key.sign(data, hash);
  if (signature instanceof Error) throw new PluginError("auth-failed", signature.message, { cause: signature });
  return signature;
}

function describe(key: ParsedKey): string {
  return `${key.type} ${fingerprint(key.getPublicSSH())}${key.comment ? ` (${key.comment})` : ""}`;
}
