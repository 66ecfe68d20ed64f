import { randomBytes } from "node:crypto";
import { basename, join } from "node:path";
import type { Duplex } from "node:stream";
import { type Address, formatAddress } from "../contract/address.ts";
import type { Connection } from "../contract/connection.ts";
import type { AddrTranslator } from "../contract/runner.ts";
import { throwIfAborted } from "../lifetime/deadline.ts";
import { Lifetime } from "../lifetime/lifetime.ts";
import { SharedAttempt } from "../lifetime/shared-attempt.ts";
import { checkPluginAddress, checkSocketPath, longestSocketPath } from "./check-address.ts";
import { forwardToHost } from "./forward-to-host.ts";
import { type Forward, forwardToPlugin } from "./forward-to-plugin.ts";
import { makePrivateDirectory, removePrivateDirectory } from "./private-directory.ts";

/** What a translator has to know of the box. */
export interface AddressBookOptions {
  connection: Connection;
  /** Connects to a checked address of the plugin. */
  openStream: (pluginAddress: Address, signal?: AbortSignal) => Promise<Duplex>;
  /** The supervisor's private directory on the box. */
  boxDirectory: string;
  /** The box's system, as `uname` tells. */
  platform: string;
  /** What the listeners on the host's side are. */
  hostNetwork: "unix" | "tcp";
  /** Takes an address that is not on the box's loopback. */
  allowAddress?: ((address: Address) => boolean) | undefined;
}

/**
 * Translates addresses by forwards, remembers each one, and undoes them all.
 *
 * One address has one forward, however often and from how many at once it is asked for.
 */
export class AddressBook implements AddrTranslator, AsyncDisposable {
  readonly #options: AddressBookOptions;
  readonly #lifetime = new Lifetime();
  readonly #forwards = new Map<string, SharedAttempt<Forward>>();
  #directory: Promise<string> | undefined;

  constructor(options: AddressBookOptions) {
    this.#options = options;
  }

  async pluginToHost(pluginAddress: Address, signal?: AbortSignal): Promise<Address> {
    const plugin = this.check(pluginAddress);
    const { openStream } = this.#options;
    const forward = await this.#remember(`plugin ${formatAddress(plugin)}`, signal, async () => {
      return forwardToPlugin(await this.#hostAddress(plugin), plugin, (over) => openStream(plugin, over));
    });
    return forward.address;
  }

  async hostToPlugin(hostAddress: Address, signal?: AbortSignal): Promise<Address> {
    const { connection } = this.#options;
    const key = `host ${formatAddress(hostAddress)}`;
    if (hostAddress.network === "unix") {
      const hint = "The system would cut it off and connect to another file.";
      checkSocketPath(hostAddress.path, longestSocketPath(process.platform), "forward-failed", hint);
    }
    const forward = await this.#remember(key, signal, (over) => {
      return forwardToHost(
        connection,
        this.#boxAddress(hostAddress),
        hostAddress,
        () => this.#forwards.delete(key),
        over,
      );
    });
    return forward.address;
  }

  /** The address as the box reaches it, if it may be reached at all. */
  check(pluginAddress: Address): Address {
    return checkPluginAddress(pluginAddress, this.#options.platform, this.#options.allowAddress);
  }

  /** Undoes every forward and removes the directory of sockets. May be called often. */
  close(): Promise<void> {
    return this.#lifetime.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #remember(
    key: string,
    signal: AbortSignal | undefined,
    make: (over: AbortSignal) => Promise<Forward>,
  ): Promise<Forward> {
    throwIfAborted(signal);
    let attempt = this.#forwards.get(key);
    if (!attempt) {
      attempt = new SharedAttempt(async (over) => {
        const forward = await this.#lifetime.own(await make(over), (made) => made.close());
        // Everybody left before it was there: nobody knows its address.
        if (over.aborted) await forward.close();
        return forward;
      });
      this.#forwards.set(key, attempt);
    }
    try {
      return await attempt.join(signal);
    } catch (failure) {
      if (attempt.result === undefined && this.#forwards.get(key) === attempt) this.#forwards.delete(key);
      throw failure;
    }
  }

  /** A place to listen on for the host: a socket that only we can reach, or a port that every user here can. */
  async #hostAddress(plugin: Address): Promise<Address> {
    if (this.#options.hostNetwork === "tcp") return { network: "tcp", host: "127.0.0.1", port: 0 };
    this.#directory ??= makePrivateDirectory().then((made) => this.#lifetime.own(made, removePrivateDirectory));
    const directory = await this.#directory;
    const name = plugin.network === "unix" ? basename(plugin.path).slice(0, 16) : `tcp${plugin.port}`;
    return { network: "unix", path: join(directory, `${name}-${randomName()}`) };
  }

  /** sshd never removes its sockets and never takes a name twice, so each has a fresh one where the supervisor tidies. */
  #boxAddress(host: Address): Address {
    if (host.network === "tcp") return { network: "tcp", host: "127.0.0.1", port: 0 };
    const path = `${this.#options.boxDirectory}/host-${randomName()}`;
    const hint = "Shorten the temporary directory on the box: name one in `directoryBase`.";
    checkSocketPath(path, longestSocketPath(this.#options.platform), "forward-failed", hint);
    return { network: "unix", path };
  }
}

function randomName(): string {
  return randomBytes(4).toString("hex");
}
