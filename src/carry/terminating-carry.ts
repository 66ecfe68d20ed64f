import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import { type Address, formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { openHostStream } from "../dial/open-plugin-stream.ts";
import type { Certificate } from "../handshake/certificates.ts";
import { within } from "../lifetime/deadline.ts";
import { join } from "../lifetime/join.ts";
import { OpenStreams } from "../lifetime/open-streams.ts";
import { makePrivateDirectory, removePrivateDirectory } from "../lifetime/private-directory.ts";
import { CarriedForwards } from "./carried-forwards.ts";
import { greet, type Peer, welcome } from "./peer.ts";
import { splice } from "./splice.ts";

const debug = createDebug("go-plugin-ssh:carry");

/** How long it may take until both ends of a connection can be used. */
const CONNECT_MS = 20_000;

/** What is to be carried, and how the plugin is reached. */
export interface TerminatingCarryOptions {
  /** Where the plugin listens, from its handshake line. */
  readonly pluginAddress: Address;
  /** The plugin's certificate, from field 6 of that line, as DER. */
  readonly pluginCertificate?: Buffer | undefined;
  /** The host's certificate, from `PLUGIN_CLIENT_CERT`, as DER; without one there is no TLS on either side. */
  readonly hostCertificate?: Buffer | undefined;
  /**
   * Our own, which both sides are to trust: the plugin was started with it in `PLUGIN_CLIENT_CERT`, and the host finds it
   * in field 6 of the line that is printed for it. Needed where the host has one.
   */
  readonly certificate?: Certificate | undefined;
  /** What the plugin speaks. @default "grpc" */
  readonly protocol?: "grpc" | "netrpc" | undefined;
  /** Connects to an address of the plugin's: a runner's `openStream`. */
  readonly openPluginStream: (pluginAddress: Address, signal: AbortSignal) => Promise<Duplex>;
  /** Lets the plugin reach an address of this side: a runner's method of this name. */
  readonly hostToPlugin: (hostAddress: Address, signal: AbortSignal) => Promise<Address>;
  /**
   * What the host connects to, here and for each of the plugin's listeners.
   * @default a unix socket; on Windows a port of 127.0.0.1
   */
  readonly hostNetwork?: "unix" | "tcp" | undefined;
  /** Where to make the directory for listeners. @default the temporary directory */
  readonly directoryBase?: string | undefined;
  /** Told, in one line each, what went wrong with a connection or an announcement. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** A plugin as the host sees it, until it is closed. */
export interface TerminatingCarry extends AsyncDisposable {
  /** Where the host reaches the plugin: for the line that is printed. */
  readonly address: Address;
  /** How many listeners stand for others now, the plugin's own included. */
  readonly forwards: number;
  /** Resolves when no connection is open: all that one side sent has been handed to the other. */
  settled(): Promise<void>;
  /** Ends all connections and listeners. May be called often; never rejects. */
  close(): Promise<void>;
}

/**
 * Stands between a host and its plugin as the peer of both: TLS ends here on either side, each of which must show exactly
 * the certificate that it announced, whatever its dates; and the addresses that brokers announce become addresses of the
 * other side, with the same care for the connections to them.
 *
 * When it resolves the host may connect. For each of its connections one is made to the plugin, not before and not more.
 *
 * @throws {PluginError} `handshake-failed` if the host asked for TLS and the plugin offers none; `bad-options` if there is no
 *   certificate of ours for that; `forward-failed` if nothing can listen here
 */
export async function startTerminatingCarry(
  options: TerminatingCarryOptions,
  signal?: AbortSignal,
): Promise<TerminatingCarry> {
  checkCertificates(options);
  const carry = new Carry(options);
  try {
    await carry.listen(signal);
    return carry;
  } catch (failure) {
    await carry.close();
    throw failure;
  }
}

function checkCertificates({ hostCertificate, pluginCertificate, certificate }: TerminatingCarryOptions): void {
  if (!hostCertificate) return;
  if (!certificate) throw new PluginError("bad-options", "`certificate` is needed, because the host has one.");
  if (pluginCertificate) return;
  throw new PluginError("handshake-failed", "The host asked for TLS (AutoMTLS), and the plugin offers none.", {
    hint: "Its handshake line has no certificate: it does not know PLUGIN_CLIENT_CERT. The host would refuse it as well.",
  });
}

class Carry implements TerminatingCarry {
  readonly #options: TerminatingCarryOptions;
  readonly #host: Peer;
  readonly #plugin: Peer;
  readonly #forwards: CarriedForwards;
  readonly #streams = new Set<Duplex>();
  readonly #accepted = new OpenStreams();
  readonly #ending = new AbortController();
  #directory: Promise<string> | undefined;
  #address: Address | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: TerminatingCarryOptions) {
    this.#options = options;
    const { hostCertificate, pluginCertificate } = options;
    this.#host = { name: "host", certificate: hostCertificate };
    this.#plugin = { name: "plugin", certificate: hostCertificate && pluginCertificate };
    // One listener for each connection that is being made is no leak.
    setMaxListeners(0, this.#ending.signal);
    const { openPluginStream, hostToPlugin, directoryBase, hostNetwork } = options;
    this.#forwards = new CarriedForwards({
      directory: () => {
        this.#directory ??= makePrivateDirectory(directoryBase);
        return this.#directory;
      },
      hostNetwork,
      hostToPlugin,
      openPluginStream,
      fromHost: (stream, plugin) => {
        return this.#carry(stream, this.#host, this.#plugin, (over) => openPluginStream(plugin, over));
      },
      fromPlugin: (stream, host, onRefused) => {
        return this.#carry(stream, this.#plugin, this.#host, async (over) => {
          return openHostStream(host, over).catch((cause) => {
            onRefused();
            throw new PluginError("forward-failed", `The host does not listen at ${formatAddress(host)} any more.`, {
              cause,
            });
          });
        });
      },
    });
  }

  get address(): Address {
    return this.#address as Address;
  }

  get forwards(): number {
    return this.#forwards.size;
  }

  async listen(signal: AbortSignal | undefined): Promise<void> {
    const { pluginAddress } = this.#options;
    this.#address = await within({ signal }, (over) => this.#forwards.toHost(pluginAddress, over, true));
    debug("the plugin at %s is at %s for the host", formatAddress(pluginAddress), formatAddress(this.#address));
  }

  settled(): Promise<void> {
    return this.#accepted.over();
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    this.#ending.abort(new PluginError("closed", "Nothing is carried any more."));
    for (const stream of this.#streams) stream.destroy();
    await this.#forwards.close();
    const directory = await this.#directory?.catch(() => undefined);
    if (directory !== undefined) await removePrivateDirectory(directory).catch(() => {});
  }

  /** Takes a connection that `client` has made, with one to `server` that is made for it; resolves when it is over. */
  async #carry(accepted: Duplex, client: Peer, server: Peer, open: Open): Promise<void> {
    const own = { certificate: this.#options.certificate, protocol: this.#options.protocol ?? "grpc" };
    const gone = new AbortController();
    const failed = new AbortController();
    const leave = () => gone.abort(new PluginError("closed", `The ${client.name} has gone.`));
    this.#accepted.add(accepted);
    accepted.once("close", leave);
    try {
      const limits = { timeoutMs: CONNECT_MS, until: [this.#ending.signal, gone.signal, failed.signal] };
      const [near, far] = await both(
        within(limits, (over) => welcome(accepted, client, own, over), destroy),
        within(limits, async (over) => greet(await open(over), server, own, over), destroy),
      );
      await this.#join(near, far, client);
    } catch (failure) {
      // The other end is given up by whoever is at it, who knows what to destroy first.
      failed.abort(failure);
      if (!this.#ending.signal.aborted && !gone.signal.aborted) this.#warn((failure as Error).message);
    } finally {
      accepted.off("close", leave);
    }
  }

  #join(near: Duplex, far: Duplex, client: Peer): Promise<void> {
    for (const stream of [near, far]) this.#streams.add(stream);
    return new Promise((resolve) => {
      const onEnd = () => {
        for (const stream of [near, far]) this.#streams.delete(stream);
        resolve();
      };
      if (this.#options.protocol === "netrpc") return join(near, far, onEnd);
      const toPlugin = (address: Address, signal: AbortSignal) => this.#forwards.toPlugin(address, signal);
      const toHost = (address: Address, signal: AbortSignal) => this.#forwards.toHost(address, signal);
      const isHost = client.name === "host";
      splice(near, far, {
        fromClient: isHost ? toPlugin : toHost,
        fromServer: isHost ? toHost : toPlugin,
        // Without TLS of ours it may be TLS of the application's own.
        foreign: client.certificate ? "end" : "pass",
        onWarning: (text) => this.#warn(text),
        onEnd,
      });
    });
  }

  #warn(text: string): void {
    debug("%s", text);
    this.#options.onWarning?.(text);
  }
}

type Open = (signal: AbortSignal) => Promise<Duplex>;

/** Both streams, or the first failure and neither of them. */
async function both(one: Promise<Duplex>, other: Promise<Duplex>): Promise<[Duplex, Duplex]> {
  try {
    return await Promise.all([one, other]);
  } catch (failure) {
    for (const stream of [one, other]) void stream.then(destroy, () => {});
    throw failure;
  }
}

function destroy(stream: Duplex): void {
  stream.on("error", () => {}).destroy();
}
