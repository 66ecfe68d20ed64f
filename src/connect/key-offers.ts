import type { AnyAuthMethod, BaseAgent, ParsedKey } from "ssh2";
import { agentKeys, OfferedByAgent } from "./agent-keys.ts";
import type { AskingContext } from "./asked-secrets.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { fingerprint } from "./host-key.ts";
import { expandHome, type IdentityFile, identityFiles, loadKey, publicHalf } from "./identity-files.ts";
import { namedAfter, type SignaturePolicy, signaturePolicy } from "./signature-algorithm.ts";

/** Who logs in, and whom to ask and to tell meanwhile. */
export interface KeyOffersContext extends Pick<AskingContext, "target" | "tries" | "note" | "signal"> {
  /** Asks for the passphrase of a file. */
  readonly passphrase: (file: string) => Promise<string | undefined>;
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
  #byAgent: OfferedByAgent | undefined;

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

  /** Whether the key that was offered last is an agent's. */
  get isAgents(): boolean {
    return this.#byAgent !== undefined;
  }

  /** Whether the agent has signed with the key that was offered last: a server wants that of the right one only. */
  get hasSigned(): boolean {
    return this.#byAgent?.hasSigned ?? false;
  }

  /** The next key, or `undefined` when all were offered. */
  async next(): Promise<AnyAuthMethod | undefined> {
    this.#byAgent = undefined;
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
    this.#byAgent = undefined;
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
      const preferred = named.filter((blob) => blob !== undefined);
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
    if (!this.#mayBeOffered(key.getPublicSSH())) return undefined;
    const algorithm = this.#algorithm(key, "agent key");
    if (algorithm === "none") return undefined;
    this.#offer(key, "agent key");
    this.#byAgent = new OfferedByAgent(agent, key, algorithm === "any" ? undefined : algorithm, this.#context.signal);
    return { type: "agent", username: this.#context.target.user, agent: this.#byAgent };
  }

  async #fromFile({ file, explicit }: IdentityFile): Promise<AnyAuthMethod | undefined> {
    // What the agent has offered was refused; nobody needs to unlock it once more.
    const known = await publicHalf(file);
    if (known && !this.#mayBeOffered(known)) return undefined;
    const key = await this.#load(file, explicit);
    if (!key || !this.#mayBeOffered(key.getPublicSSH())) return undefined;
    const algorithm = this.#algorithm(key, `key file ${file}:`);
    if (algorithm === "none") return undefined;
    this.#offer(key, `key file ${file}:`);
    const offered = algorithm === "any" ? key : namedAfter(algorithm, key);
    return { type: "publickey", username: this.#context.target.user, key: offered as unknown as Buffer };
  }

  async #load(file: string, explicit: boolean): Promise<ParsedKey | undefined> {
    const unlocked = this.#unlocked.get(file);
    if (unlocked) return unlocked;
    const { passphrase, tries, note } = this.#context;
    const loaded = await loadKey(file, () => passphrase(file), tries);
    if ("why" in loaded) {
      if (explicit || !loaded.missing) note(`key file ${file}: ${loaded.why}`);
      return undefined;
    }
    this.#unlocked.set(file, loaded.key);
    return loaded.key;
  }

  #algorithm(key: ParsedKey, from: string) {
    const permission = this.#policy.permit(key.type);
    if (permission === "none") {
      this.#context.note(`${from} ${describe(key)} was left out: \`pubkeyAcceptedAlgorithms\` has nothing for it`);
    }
    return permission;
  }

  #mayBeOffered(blob: Buffer): boolean {
    return ![...this.#offered, ...this.#accepted].some((other) => other.equals(blob));
  }

  #offer(key: ParsedKey, from: string): void {
    this.#offered.push(key.getPublicSSH());
    this.#context.note(`${from} ${describe(key)}`);
  }
}

function describe(key: ParsedKey): string {
  return `${key.type} ${fingerprint(key.getPublicSSH())}${key.comment ? ` (${key.comment})` : ""}`;
}
