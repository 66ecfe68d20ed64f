import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import type { PluginError } from "../contract/errors.ts";
import type { Multiplexer } from "../dial/broker/multiplexer.ts";
import { NEWS_MS } from "../dial/explain-loss.ts";
import { YamuxSession } from "../dial/yamux/yamux-session.ts";
import { within } from "../lifetime/deadline.ts";

/**
 * The one connection to a plugin that multiplexes. When it breaks, that is told together with the reason, for example
 * that the plugin has ended: whoever closes it knows, a moment later. If nobody does, it is over without.
 */
export class PluginSession implements Multiplexer {
  readonly #session: YamuxSession;
  readonly #over = new AbortController();
  #news: NodeJS.Timeout | undefined;

  /** @param carrier the connection, which nobody has used yet */
  constructor(carrier: Duplex) {
    this.#session = new YamuxSession(carrier, { side: "client" });
    setMaxListeners(0, this.#over.signal);
    const { over } = this.#session;
    const broke = () => {
      if (this.#over.signal.aborted) return;
      this.#news = setTimeout(() => this.#over.abort(over.reason), NEWS_MS).unref();
    };
    over.addEventListener("abort", broke, { once: true });
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  open(): Duplex {
    return this.#session.open();
  }

  accept(signal?: AbortSignal): Promise<Duplex> {
    return this.#session.accept(signal);
  }

  /**
   * The same as {@link open}, for those who can wait for the reason.
   *
   * @throws {PluginError} the reason of {@link over}; `aborted`
   */
  async connect(signal: AbortSignal): Promise<Duplex> {
    if (!this.#session.over.aborted) return this.#session.open();
    return within({ signal, until: [this.over] }, () => new Promise<never>(() => {}));
  }

  /** Ends it for `reason`, with every stream. May be called often. */
  close(reason: PluginError): void {
    clearTimeout(this.#news);
    this.#over.abort(reason);
    this.#session.close(reason);
  }
}
