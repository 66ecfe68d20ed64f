import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { type Later, later } from "../../lifetime/later.ts";

const debug = createDebug("go-plugin-ssh:broker");

/** How many connections may wait for somebody who accepts them. */
const BACKLOG = 256;

/**
 * Takes the plugin's connections to one id of the broker. Same as the `net.Listener` that go-plugin's
 * `GRPCBroker.Accept` returns: the streams are bare, without the TLS that the plugin speaks over them;
 * `acceptAndServe` adds it.
 */
export class BrokerListener implements AsyncIterable<Duplex>, AsyncDisposable {
  /** The id that it was made for. */
  readonly id: number;
  readonly #keep: (stream: Duplex) => void;
  readonly #arrived: Duplex[] = [];
  readonly #waiting = new Set<Later<Duplex>>();
  readonly #closed = new AbortController();
  readonly #undo: (() => unknown)[] = [];

  /**
   * For the broker; everybody else gets listeners from `GrpcBroker.accept`.
   *
   * @param keep sees each connection that arrives
   */
  constructor(id: number, keep: (stream: Duplex) => void) {
    this.id = id;
    this.#keep = keep;
    setMaxListeners(0, this.#closed.signal);
  }

  /** Aborts when it has been closed, with the reason. */
  get closed(): AbortSignal {
    return this.#closed.signal;
  }

  /** Whether there is room for one more connection. */
  get hasRoom(): boolean {
    return !this.#closed.signal.aborted && this.#arrived.length < BACKLOG;
  }

  /**
   * The next connection of the plugin's, which belongs to the caller.
   *
   * @throws {PluginError} `aborted`; `closed` when the listener or the broker has been closed
   */
  accept(signal?: AbortSignal): Promise<Duplex> {
    const turn = later<Duplex>();
    const ask = async () => {
      const first = this.#arrived.shift();
      if (first) return first;
      this.#waiting.add(turn);
      return turn.promise;
    };
    const limits = { signal, until: [this.#closed.signal] };
    return within(limits, ask, (late) => this.#queue(late, "unshift")).finally(() => this.#waiting.delete(turn));
  }

  /** Every connection, until the listener or the broker is closed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Duplex> {
    for (;;) {
      try {
        yield await this.accept();
      } catch (failure) {
        if (this.#closed.signal.aborted) return;
        throw failure;
      }
    }
  }

  /** For the broker: takes a connection in, or destroys it if nobody will accept it. */
  push(stream: Duplex): void {
    stream.on("error", (failure) => debug("id %d: %s", this.id, failure.message));
    this.#keep(stream);
    stream.once("close", () => {
      const at = this.#arrived.indexOf(stream);
      if (at >= 0) this.#arrived.splice(at, 1);
    });
    this.#queue(stream, "push");
  }

  #queue(stream: Duplex, put: "push" | "unshift"): void {
    const [next] = this.#waiting;
    if (!this.hasRoom) stream.destroy();
    else if (!next) this.#arrived[put](stream);
    else {
      this.#waiting.delete(next);
      next.resolve(stream);
    }
  }

  /** For the broker: `undo` runs when the listener is closed; at once if it is. */
  onClose(undo: () => unknown): void {
    if (this.#closed.signal.aborted) undo();
    else this.#undo.push(undo);
  }

  /**
   * Accepts nothing any more; what was accepted goes on, what was not is ended. The id is free again. May be called
   * often; never rejects.
   */
  async close(reason = new PluginError("closed", `The listener for id ${this.id} was closed.`)): Promise<void> {
    if (this.#closed.signal.aborted) return;
    this.#closed.abort(reason);
    for (const stream of this.#arrived.splice(0)) stream.destroy();
    for (const undo of this.#undo.splice(0).reverse()) await undo();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
