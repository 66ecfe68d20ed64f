import type { ServerHostKeyAlgorithm } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { describeTarget, type Target } from "./destination.ts";
import { hostKeyAlgorithms } from "./host-key-algorithms.ts";
import { type HostKeyQuestion, verifyHostKey } from "./host-keys.ts";
import { expandHome } from "./identity-files.ts";
import { readKnownHosts } from "./known-hosts.ts";
import { defaultKnownHostsFiles } from "./known-hosts-files.ts";

/** What ssh2 can verify, in OpenSSH's order of preference. Both kinds of RSA with SHA-1 and DSA are left out. */
const HOST_KEY_ALGORITHMS = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
] as const satisfies readonly ServerHostKeyAlgorithm[];

/** Decides about the host keys that one connection shows. */
export class HostVerifier {
  readonly #target: Target;
  readonly #question: Omit<HostKeyQuestion, "key">;
  readonly #signal: AbortSignal;
  #trusted: Buffer | undefined;

  /** @param signal ends the wait for the first decision */
  constructor(target: Target, options: ConnectOptions, signal: AbortSignal) {
    const { hostKeyFingerprints, strictHostKeyChecking = "yes" } = options;
    this.#target = target;
    this.#signal = signal;
    const { host, port } = target;
    const strict = strictHostKeyChecking === "accept-new" ? "accept-new" : "yes";
    this.#question = {
      host,
      port,
      hostKeyFingerprints,
      strictHostKeyChecking: strict,
      ...knownHostsFiles(options),
      signal,
    };
  }

  /** The algorithms to offer, in order: first those of the keys that are on record. */
  async algorithms(): Promise<ServerHostKeyAlgorithm[]> {
    const known = await readKnownHosts(this.#question, this.#signal);
    return hostKeyAlgorithms(known, HOST_KEY_ALGORITHMS) as ServerHostKeyAlgorithm[];
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

function knownHostsFiles({ userKnownHostsFile, globalKnownHostsFile, hostKeyAlias }: ConnectOptions) {
  const defaults = defaultKnownHostsFiles();
  return {
    hostKeyAlias,
    userKnownHostsFile: files(userKnownHostsFile) ?? defaults.userKnownHostsFile,
    globalKnownHostsFile: files(globalKnownHostsFile) ?? defaults.globalKnownHostsFile,
  };
}

function files(option: string | readonly string[] | undefined): string[] | undefined {
  return option === undefined ? undefined : [option].flat().map(expandHome);
}
