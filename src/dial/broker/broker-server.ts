import type { Duplex } from "node:stream";
import createDebug from "debug";
import { within } from "../../lifetime/deadline.ts";
import type { PluginTls } from "../secure.ts";
import { secureAsServer } from "../secure-as-server.ts";
import type { StreamServer } from "../stream-server.ts";
import type { BrokerListener } from "./broker-listener.ts";

const debug = createDebug("go-plugin-ssh:broker");

/** How long a connection of the plugin's may take for TLS. */
const TLS_MS = 10_000;
/** How long calls may take to finish when the server is closed. */
const GRACE_MS = 2_000;

/** Services of the host's, which the plugin reaches by an id of the broker. */
export class BrokerServer implements AsyncDisposable {
  /** The id that the plugin dials. */
  readonly id: number;
  readonly #listener: BrokerListener;
  readonly #server: StreamServer;
  readonly #tls: PluginTls | undefined;
  readonly #onClosed: () => void;
  #closing: Promise<void> | undefined;

  /**
   * For the broker; everybody else gets servers from `GrpcBroker.acceptAndServe`.
   *
   * @param onClosed called when {@link close} is done
   */
  constructor(listener: BrokerListener, server: StreamServer, tls: PluginTls | undefined, onClosed: () => void) {
    this.id = listener.id;
    this.#onClosed = onClosed;
    this.#listener = listener;
    this.#server = server;
    this.#tls = tls;
    void this.#serve();
  }

  /**
   * Takes no more connections and no more calls, and resolves when those under way have finished, after 2 s at the
   * latest; what still goes on then is ended. The id is free again. May be called often; never rejects.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** For the broker: ends it at once, with the calls under way. */
  destroy(): void {
    void this.#listener.close();
    this.#server.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await this.#listener.close();
    await this.#server.close(GRACE_MS);
    this.#onClosed();
  }

  async #serve(): Promise<void> {
    for await (const stream of this.#listener) void this.#welcome(stream);
  }

  /** Serves one connection, if it proves to be the plugin's. Whoever it is otherwise disturbs nobody else. */
  async #welcome(stream: Duplex): Promise<void> {
    try {
      this.#server.serve(await this.#secured(stream));
    } catch (failure) {
      debug("id %d: a connection was refused: %s", this.id, (failure as Error).message);
    }
  }

  async #secured(stream: Duplex): Promise<Duplex> {
    const tls = this.#tls;
    if (!tls) return stream;
    const limits = { timeoutMs: TLS_MS, until: [this.#listener.closed] };
    return within(
      limits,
      (over) => secureAsServer(stream, tls, over),
      // Not in the same turn as the stream below it: that crashes Node.
      (late) => setImmediate(() => late.destroy()),
    );
  }
}
