import type { Duplex } from "node:stream";
import type { ConnectRouter } from "@connectrpc/connect";
import createDebug from "debug";
import { formatAddress } from "../../contract/address.ts";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { NEWS_MS } from "../explain-loss.ts";
import type { ConnInfo } from "../gen/plugin_pb.ts";
import { Http2Link } from "../http2-link.ts";
import { authorityOf } from "../plugin-tls.ts";
import { StreamServer } from "../stream-server.ts";
import { BrokerConnection } from "./broker-connection.ts";
import { BrokerListener } from "./broker-listener.ts";
import type { BrokerOptions } from "./broker-options.ts";
import { BrokerServer } from "./broker-server.ts";
import { ConnInfoStream } from "./conn-info-stream.ts";
import { Doors } from "./doors.ts";
import { listenForPlugin } from "./listen-for-plugin.ts";
import { PluginWays } from "./plugin-ways.ts";

const debug = createDebug("go-plugin-ssh:broker");

/** How long it may take until the plugin can connect to a listener of the host's. */
const ACCEPT_MS = 20_000;

/** A lost call knows by then why it was lost. */
const CLOSE_MS = NEWS_MS + 500;

/**
 * Offers further services to the plugin, and reaches those that the plugin offers, each by a number that one side
 * tells the other. A number belongs to the side that accepts.
 *
 * Same as go-plugin's `GRPCBroker`, on the host's side.
 */
export class GrpcBroker implements AsyncDisposable {
  readonly #options: BrokerOptions;
  readonly #stream: ConnInfoStream;
  readonly #ways: PluginWays;
  readonly #doors: Doors | undefined;
  readonly #listeners = new Map<number, BrokerListener>();
  readonly #servers = new Set<BrokerServer>();
  readonly #links = new Set<Http2Link>();
  /** Every stream that came or went by way of the broker and is open. */
  readonly #streams = new Set<Duplex>();
  #lastId = 0;
  #closed = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#stream = new ConnInfoStream(options.transport, (info) => this.#hear(info));
    this.#ways = new PluginWays(options, this.#stream, (stream) => this.#keep(stream));
    this.#doors = options.multiplexer && new Doors(options.multiplexer, this.#stream);
  }

  /** Begins to hear what the plugin announces. Call it once, as soon as the connection to the plugin is there. */
  start(): void {
    const { multiplexer } = this.#options;
    this.#stream.start();
    if (!multiplexer) return;
    const { over } = multiplexer;
    const lost = () => this.#closeSoon(asError(over.reason));
    if (over.aborted) lost();
    over.addEventListener("abort", lost, { once: true });
    this.#stream.over.addEventListener("abort", () => over.removeEventListener("abort", lost), { once: true });
    this.#doors?.start().catch((failure) => debug("takes no streams any more: %s", failure.message));
  }

  /** A number that no other listener of the host's has. Same as go-plugin's `GRPCBroker.NextId`. */
  nextId(): number {
    this.#lastId = (this.#lastId % 0xffff_ffff) + 1;
    return this.#lastId;
  }

  /**
   * Listens for the plugin under `id`. When it resolves, the plugin has been told where, and its connections get
   * through. Same as go-plugin's `GRPCBroker.Accept`.
   *
   * @throws {PluginError} `bad-options` if the id is being accepted already; what making the way threw; `timeout`;
   *   `aborted`; `closed` (`broker closed`), or why the broker has ended
   */
  async accept(id: number, signal?: AbortSignal): Promise<BrokerListener> {
    checkId(id);
    if (this.#listeners.has(id)) {
      throw new PluginError("bad-options", `The id ${id} is being accepted already.`, {
        hint: "Take a fresh one from `nextId()` for each listener.",
      });
    }
    const listener = new BrokerListener(id, (stream) => this.#keep(stream));
    this.#listeners.set(id, listener);
    listener.onClose(() => this.#listeners.delete(id));
    const onTimeout = () => new PluginError("timeout", `The way to the host's id ${id} took over ${ACCEPT_MS} ms.`);
    const limits = { signal, timeoutMs: ACCEPT_MS, onTimeout, until: [this.#stream.over, listener.closed] };
    try {
      await within(limits, (over) => this.#announce(listener, over));
      return listener;
    } catch (failure) {
      await listener.close();
      throw failure;
    }
  }

  /**
   * Serves gRPC to the plugin under `id`, over as many connections as it makes, each protected as the main one is. When
   * it resolves, the plugin can call. Same as go-plugin's `GRPCBroker.AcceptAndServe`, which does not return before
   * the end.
   *
   * @param routes says which services there are: `(router) => router.service(AddHelper, { sum: … })`
   * @throws {PluginError} as {@link accept}
   */
  async acceptAndServe(
    id: number,
    routes: (router: ConnectRouter) => void,
    signal?: AbortSignal,
  ): Promise<BrokerServer> {
    const server = new StreamServer(routes);
    const listener = await this.accept(id, signal);
    const served = new BrokerServer(listener, server, this.#options.tls, () => this.#servers.delete(served));
    this.#servers.add(served);
    return served;
  }

  /**
   * Connects to what the plugin serves under `id`. The plugin must announce it within 5 s, before or after this call.
   * If the connection is lost, the next call on it makes another one. Same as go-plugin's `GRPCBroker.Dial`, but it
   * waits for the connection.
   *
   * @throws {PluginError} `timeout` with go-plugin's text if the plugin does not announce the id or does not answer;
   *   `handshake-failed` for an address of no known kind, or if somebody else answers; `forward-failed`; `aborted`;
   *   `closed` (`broker closed`), or why the broker has ended
   */
  async dial(id: number, signal?: AbortSignal): Promise<BrokerConnection> {
    checkId(id);
    const link = new Http2Link(authorityOf(this.#options.tls), await this.#ways.find(id, signal));
    this.#links.add(link);
    link.over.addEventListener("abort", () => this.#links.delete(link), { once: true });
    try {
      await within({ signal, until: [this.#stream.over] }, () => link.connect());
      return new BrokerConnection(id, link);
    } catch (failure) {
      link.close(brokerClosed(failure));
      throw failure;
    }
  }

  /**
   * The same as a bare stream, for gRPC code of others: with TLS, if there is any, and without HTTP/2. It belongs to the
   * caller.
   *
   * @throws {PluginError} as {@link dial}
   */
  async dialStream(id: number, signal?: AbortSignal): Promise<Duplex> {
    checkId(id);
    const open = await this.#ways.find(id, signal);
    return within({ signal }, open, (late) => late.destroy());
  }

  /**
   * Ends all listeners, servers and connections that came of the broker. Whoever waits for one is told `broker closed`;
   * calls on such connections fail with `reason`. May be called often; never rejects.
   *
   * @param reason why, for example that the plugin has ended
   */
  async close(reason = new PluginError("closed", "The broker was closed.")): Promise<void> {
    this.#closed = true;
    const closed = brokerClosed(reason);
    this.#stream.close(closed);
    const listeners = [...this.#listeners.values()].map((listener) => listener.close(closed));
    for (const server of this.#servers) server.destroy();
    this.#servers.clear();
    for (const link of [...this.#links]) link.close(reason);
    // What lies above before what lies below: Node crashes over TLS that is destroyed the other way round.
    for (const stream of [...this.#streams].reverse()) stream.destroy();
    await Promise.allSettled(listeners);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Closes it for `reason`, unless the stream tells a better one before: that the plugin has ended, for example. */
  #closeSoon(reason: PluginError): void {
    const timer = setTimeout(() => void this.close(reason), CLOSE_MS).unref();
    this.#stream.over.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }

  /** Passes on what the plugin says. A question goes to our listeners, everything else to those who dial. */
  #hear(info: ConnInfo): void {
    const { serviceId: id, knock } = info;
    debug("heard of id %d: %s", id, knock ? "a knock" : info.network);
    if (knock?.knock && !knock.ack) this.#doors?.knock(id);
    else this.#ways.hear(info);
  }

  /** Tells the plugin of a listener, once its connections get through. */
  async #announce(listener: BrokerListener, signal: AbortSignal): Promise<void> {
    const { id } = listener;
    const { socketDirectory, translator } = this.#options;
    if (this.#doors) {
      this.#doors.add(listener);
      // Nobody knocks any more when the stream is over. On a socket, connections may still come.
      const { over } = this.#stream;
      const end = () => void listener.close(asError(over.reason));
      over.addEventListener("abort", end, { once: true });
      listener.onClose(() => over.removeEventListener("abort", end));
      return;
    }
    const { address, close } = await listenForPlugin(await socketDirectory(), (stream) => listener.push(stream));
    listener.onClose(close);
    const plugin = await translator.hostToPlugin(address, signal);
    await this.#stream.send({ serviceId: id, network: plugin.network, address: formatAddress(plugin) }, signal);
  }

  /** Ends `stream` with the broker. */
  #keep(stream: Duplex): void {
    stream.on("error", (failure) => debug("brokered stream: %s", failure.message));
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    if (this.#closed) stream.destroy();
  }
}

function checkId(id: number): void {
  if (Number.isInteger(id) && id >= 0 && id <= 0xffff_ffff) return;
  throw new PluginError("bad-options", `An id must be a whole number from 0 to 4294967295, not ${id}.`);
}

/** go-plugin's words for everything that is asked of a closed broker. */
function brokerClosed(cause: unknown): PluginError {
  return new PluginError("closed", "broker closed", { cause });
}

function asError(reason: unknown): PluginError {
  if (reason instanceof PluginError) return reason;
  return new PluginError("connection-lost", "The connection to the plugin was lost.", { cause: reason });
}
