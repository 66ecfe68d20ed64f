import type { ServerHostKeyAlgorithm } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import type { AskPerson } from "./ask-person.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { describeTarget, type Target } from "./destination.ts";
import { hostKeyAlgorithms, type OfferedHostKeys, offeredHostKeys } from "./host-key-algorithms.ts";
import { type HostKeyQuestion, verifyHostKey } from "./host-keys.ts";
import { readKnownHosts } from "./known-hosts.ts";
import { knownHostsFiles } from "./known-hosts-files.ts";
import { sayUnknown } from "./say-unknown.ts";

/** Decides about the host keys that one connection shows. */
export class HostVerifier {
  readonly #target: Target;
  readonly #question: Omit<HostKeyQuestion, "key">;
  readonly #offered: OfferedHostKeys;
  readonly #signal: AbortSignal;
  #trusted: Buffer | undefined;

  /**
   * @param ask runs `confirmHostKey`
   * @param signal ends the wait for the first decision
   * @throws {PluginError} `config-error` if `hostKeyAlgorithms` leaves nothing to offer
   */
  constructor(target: Target, options: ConnectOptions, ask: AskPerson, signal: AbortSignal) {
    const { hostKeyFingerprints, hostKeyAlias, hashKnownHosts, confirmHostKey, batchMode } = options;
    const confirm = batchMode ? undefined : confirmHostKey;
    this.#target = target;
    this.#signal = signal;
    this.#offered = offeredHostKeys(options.hostKeyAlgorithms);
    sayUnknown(options, "hostKeyAlgorithms", this.#offered.unknown);
    this.#question = {
      host: target.host,
      port: target.port,
      hostKeyAlias,
      hostKeyFingerprints,
      strictHostKeyChecking: options.strictHostKeyChecking ?? (confirm ? "ask" : "yes"),
      hashKnownHosts,
      confirm: confirm && ((question) => ask(async (over) => isYes(await confirm({ ...question, signal: over })))),
      ...knownHostsFiles(options),
      signal,
    };
  }

  /** The algorithms to offer, in order: first those of the keys that are on record, unless the caller knows better. */
  async algorithms(): Promise<ServerHostKeyAlgorithm[]> {
    const { names, isFixed } = this.#offered;
    if (isFixed) return names as ServerHostKeyAlgorithm[];
    const known = await readKnownHosts(this.#question, this.#signal);
    return hostKeyAlgorithms(known, names) as ServerHostKeyAlgorithm[];
  }

  /** Whether this connection has shown the key before, and it was trusted: nothing has to be asked then. */
  knows(key: Buffer): boolean {
    return this.#trusted?.equals(key) ?? false;
  }

  /**
   * When it resolves, the key is trusted. Each later exchange of keys on a connection shows a host key again, and then
   * it must be the same one.
   *
   * @throws {PluginError} as {@link verifyHostKey} does
   */
  async verify(key: Buffer): Promise<void> {
    if (this.knows(key)) return;
    if (this.#trusted) {
      throw new PluginError("host-key-changed", `${describeTarget(this.#target)} changed its host key midway.`, {
        hint: "Somebody else may have taken over the connection.",
      });
    }
    await verifyHostKey({ ...this.#question, key });
    // ssh2 may use its buffer again.
    this.#trusted = Buffer.from(key);
  }
}

/** Nothing but a plain yes trusts a key. */
function isYes(answer: unknown): boolean {
  if (typeof answer === "boolean") return answer;
  throw new PluginError("bad-options", "`confirmHostKey` must answer with true or false.");
}
