import { randomBytes } from "node:crypto";
import { setMaxListeners } from "node:events";
import { basename, join } from "node:path";
import type { Duplex } from "node:stream";
import { type Address, formatAddress, longestSocketPath } from "../contract/address.ts";
import type { Connection } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import type { AddrTranslator } from "../contract/runner.ts";
import { throwIfAborted, within } from "../lifetime/deadline.ts";
import { makePrivateDirectory, removePrivateDirectory } from "../lifetime/private-directory.ts";
import { SharedAttempt } from "../lifetime/shared-attempt.ts";
import { checkPluginAddress, checkSocketPath } from "./check-address.ts";
import { forwardToHost } from "./forward-to-host.ts";
import { type Forward, forwardToPlugin } from "./forward-to-plugin.ts";

/** What a translator has to know of the box. */
export interface AddressBookOptions {
  /** Has the box listen, at an address or near it. */
  connection: Pick<Connection, "listen">;
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
  readonly #forwards = new Map<string, SharedAttempt<Forward>>();
  /** What {@link close} undoes: every forward, and those that are just being made. */
  readonly #made = new Set<Forward>();
  readonly #making = new Set<Promise<Forward>>();
  readonly #ending = new AbortController();
  #directory: Promise<string> | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: AddressBookOptions) {
    this.#options = options;
    // One listener for each forward that is being made is no leak.
    setMaxListeners(0, this.#ending.signal);
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
    if (hostAddress.network === "unix") {
      const hint = "The system would cut it off and connect to another file.";
      checkSocketPath(hostAddress.path, longestSocketPath(process.platform), "forward-failed", hint);
    }
    const forward = await this.#remember(`host ${formatAddress(hostAddress)}`, signal, (over, forget) => {
      return forwardToHost(connection, this.#boxAddress(hostAddress), hostAddress, forget, over);
    });
    return forward.address;
  }

  /** The address as the box reaches it, if it may be reached at all. */
  check(pluginAddress: Address): Address {
    return checkPluginAddress(pluginAddress, this.#options.platform, this.#options.allowAddress);
  }

  /** Resolves when no connection through a forward is open. */
  async settled(): Promise<void> {
    await Promise.all([...this.#made].map((forward) => forward.settled()));
  }

  /** Undoes every forward and removes the directory of sockets. Each call gives the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#ending.abort(new PluginError("closed", "The addresses of this plugin are translated no more."));
    this.#forwards.clear();
    await Promise.allSettled(this.#making);
    await Promise.all([...this.#made].map((forward) => this.#undo(forward)));
    const directory = await this.#directory?.catch(() => undefined);
    if (directory !== undefined) await removePrivateDirectory(directory);
  }

  /** One attempt for each key: the one that is going on or has succeeded, or else a new one. */
  async #remember(key: string, signal: AbortSignal | undefined, make: Make): Promise<Forward> {
    throwIfAborted(signal);
    throwIfAborted(this.#ending.signal);
    const known = this.#forwards.get(key);
    if (known?.usable) return known.join(signal);
    const forget = () => {
      if (this.#forwards.get(key) === attempt) this.#forwards.delete(key);
    };
    const attempt = new SharedAttempt(
      (over) => this.#make(make, over, forget),
      (late) => this.#undo(late),
    );
    this.#forwards.set(key, attempt);
    return attempt.join(signal).finally(() => attempt.usable || forget());
  }

  #make(make: Make, signal: AbortSignal, forget: () => void): Promise<Forward> {
    return within(
      { signal, until: [this.#ending.signal] },
      async (over) => {
        const making = make(over, forget).then((forward) => {
          this.#made.add(forward);
          return forward;
        });
        this.#making.add(making);
        return making.finally(() => this.#making.delete(making));
      },
      (late) => this.#undo(late),
    );
  }

  async #undo(forward: Forward): Promise<void> {
    await forward.close();
    this.#made.delete(forward);
  }

  /** A place to listen on for the host: a socket that only we can reach, or a port that every user here can. */
  async #hostAddress(plugin: Address): Promise<Address> {
    if (this.#options.hostNetwork === "tcp") return { network: "tcp", host: "127.0.0.1", port: 0 };
    this.#directory ??= makePrivateDirectory().catch((failure) => {
      // The next one may find room again.
      this.#directory = undefined;
      throw failure;
    });
    const directory = await this.#directory;
    // The name helps whoever lists the directory. It must not make the path too long, whatever it was.
    const name = plugin.network === "unix" ? basename(plugin.path).replace(/[^\w.-]/g, "_") : `tcp${plugin.port}`;
    return { network: "unix", path: join(directory, `${name.slice(0, 16)}-${randomName()}`) };
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

/** Makes a forward; `forget` is to be called when it is of no use any more. */
type Make = (over: AbortSignal, forget: () => void) => Promise<Forward>;

function randomName(): string {
  return randomBytes(4).toString("hex");
}
