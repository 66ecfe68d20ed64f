import type { Duplex } from "node:stream";
import createDebug from "debug";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { type Later, later } from "../../lifetime/later.ts";
import type { BrokerListener } from "./broker-listener.ts";
import type { ConnInfoStream } from "./conn-info-stream.ts";
import type { Multiplexer } from "./multiplexer.ts";
import { Turns } from "./turns.ts";

const debug = createDebug("go-plugin-ssh:broker");

/** How long a knock waits for a listener that is still being made. The plugin gives up after 5 s. */
const HOLD_MS = 3_000;
/** How long the plugin may take from our answer to its stream. */
const DOOR_MS = 5_000;
/** The same, once it knocks for the next one: then it has opened the stream, or never will. */
const HURRY_MS = 500;
/** A plugin that knocks without end must not fill our memory. */
const MOST_KNOCKS = 1_024;

/**
 * Lets the plugin in over one connection: answers its knocks, and gives the stream that follows each answer to the
 * listener that it knocked for. A stream for which nobody knocked is ended.
 */
export class Doors {
  readonly #multiplexer: Multiplexer;
  readonly #stream: ConnInfoStream;
  readonly #listeners = new Map<number, BrokerListener>();
  readonly #turns = new Turns();
  /** Knocks for ids that nobody has accepted yet. */
  readonly #held = new Map<number, NodeJS.Timeout>();
  #knocks = 0;
  #open: Later<Duplex> | undefined;

  constructor(multiplexer: Multiplexer, stream: ConnInfoStream) {
    this.#multiplexer = multiplexer;
    this.#stream = stream;
  }

  /** Begins to take the plugin's streams. */
  async start(): Promise<void> {
    const { over } = this.#stream;
    over.addEventListener("abort", () => this.#shut(), { once: true });
    while (!over.aborted) {
      const stream = await this.#multiplexer.accept(over);
      stream.on("error", (failure) => debug("a stream of the plugin's: %s", failure.message));
      const open = this.#open;
      this.#open = undefined;
      if (open && !over.aborted) open.resolve(stream);
      else {
        debug("a stream without a knock was ended");
        stream.destroy();
      }
    }
  }

  /** From now on the plugin may knock for `listener`. */
  add(listener: BrokerListener): void {
    const { id } = listener;
    this.#listeners.set(id, listener);
    listener.onClose(() => this.#listeners.delete(id));
    const held = this.#held.get(id);
    if (held === undefined) return;
    clearTimeout(held);
    this.#held.delete(id);
    this.#letIn(id);
  }

  /** Takes a knock. Answers it in its turn; one that nobody listens for, after a while. */
  knock(id: number): void {
    this.#hurry();
    if (this.#listeners.has(id) || this.#held.size >= MOST_KNOCKS) this.#letIn(id);
    else if (!this.#held.has(id)) this.#hold(id);
  }

  /** Gives the one who was let in last little time to come. */
  #hurry(): void {
    const open = this.#open;
    if (!open) return;
    const timer = setTimeout(() => open.reject(noStream()), HURRY_MS).unref();
    open.promise.finally(() => clearTimeout(timer)).catch(() => {});
  }

  #hold(id: number): void {
    const answer = () => {
      this.#held.delete(id);
      this.#letIn(id);
    };
    this.#held.set(id, setTimeout(answer, HOLD_MS).unref());
  }

  #letIn(id: number): void {
    if (this.#knocks >= MOST_KNOCKS) return;
    this.#knocks += 1;
    const turn = this.#turns.take(async () => {
      this.#knocks -= 1;
      const listener = this.#listeners.get(id);
      if (!listener) return this.#answer(id, `no listener for id ${id}`);
      if (!listener.hasRoom) return this.#answer(id, `too many connections wait at id ${id}`);
      listener.push(await this.#next(id));
    });
    turn.catch((failure) => debug("knock for id %d: %s", id, failure.message));
  }

  /** The stream that follows our answer to the knock. */
  #next(id: number): Promise<Duplex> {
    const open = later<Duplex>();
    this.#open = open;
    const limits = { timeoutMs: DOOR_MS, onTimeout: noStream, until: [this.#stream.over] };
    const answered = async () => {
      await this.#answer(id, "");
      return open.promise;
    };
    return within(limits, answered, (late) => late.destroy()).finally(() => {
      if (this.#open === open) this.#open = undefined;
    });
  }

  #answer(id: number, error: string): Promise<void> {
    return this.#stream.send({ serviceId: id, knock: { knock: true, ack: true, error } });
  }

  #shut(): void {
    this.#open?.reject(this.#stream.over.reason);
    for (const timer of this.#held.values()) clearTimeout(timer);
    this.#held.clear();
  }
}

function noStream(): PluginError {
  return new PluginError("timeout", "The plugin knocked, was let in and did not come.");
}
