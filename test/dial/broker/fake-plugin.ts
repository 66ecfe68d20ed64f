import type { Duplex } from "node:stream";
import { duplexPair } from "node:stream";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { PluginError } from "../../../src/contract/errors.ts";
import type { Multiplexer } from "../../../src/dial/broker/multiplexer.ts";
import { Outbox } from "../../../src/dial/broker/outbox.ts";
import { type ConnInfo, type ConnInfoSchema, GRPCBroker } from "../../../src/dial/gen/plugin_pb.ts";
import { type Later, later } from "../../../src/lifetime/later.ts";

const NEVER = new AbortController().signal;

/** The plugin's end of the broker's stream, which says whatever a test wants it to. */
export class FakePlugin {
  /** For the broker's `transport`. */
  readonly transport: Transport;
  readonly #says = new Outbox<MessageInitShape<typeof ConnInfoSchema>>();
  readonly #heard: ConnInfo[] = [];
  readonly #listeners: Later<ConnInfo>[] = [];
  #failure: unknown;

  constructor() {
    const heard = (info: ConnInfo) => {
      const first = this.#listeners.shift();
      if (first) first.resolve(info);
      else this.#heard.push(info);
    };
    const says = this.#says;
    const failure = () => this.#failure;
    this.transport = createRouterTransport(({ service }) => {
      service(GRPCBroker, {
        async *startStream(messages, { signal }) {
          signal.addEventListener("abort", () => says.end());
          const listening = (async () => {
            for await (const info of messages) heard(info);
          })();
          listening.catch(() => {});
          yield* says;
          if (failure()) throw failure();
        },
      });
    });
  }

  /** Resolves when the host has been handed the message. */
  say(info: MessageInitShape<typeof ConnInfoSchema>): Promise<void> {
    return this.#says.put(info, NEVER);
  }

  /** Ends the stream, with an error if one is given. */
  end(failure?: unknown): void {
    this.#failure = failure;
    this.#says.end();
  }

  /** The next message of the host's. */
  hear(): Promise<ConnInfo> {
    const first = this.#heard.shift();
    if (first) return Promise.resolve(first);
    const next = later<ConnInfo>();
    this.#listeners.push(next);
    return next.promise;
  }

  /** Messages of the host's that nobody has asked for yet. */
  get unheard(): readonly ConnInfo[] {
    return this.#heard;
  }
}

/** A connection that carries many streams, without a wire. */
export class FakeMultiplexer {
  readonly #over = new AbortController();
  readonly #toHost = new Queue();
  readonly #toPlugin = new Queue();
  /** For the broker. */
  readonly host: Multiplexer = {
    open: () => this.#open(this.#toPlugin),
    accept: (signal) => this.#toHost.take(signal),
    over: this.#over.signal,
  };

  /** The plugin opens a stream. */
  open(): Duplex {
    return this.#open(this.#toHost).on("error", () => {});
  }

  /** The next stream that the host opens. */
  accept(): Promise<Duplex> {
    return this.#toPlugin.take();
  }

  /** How many streams of the host's the plugin has not accepted yet. */
  get unaccepted(): number {
    return this.#toPlugin.length;
  }

  lose(): void {
    this.#over.abort(new PluginError("connection-lost", "The wire broke."));
  }

  #open(to: Queue): Duplex {
    const [near, far] = duplexPair();
    // A pair's halves do not close together by themselves.
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("close", () => setImmediate(() => other.destroy()));
    }
    to.put(far.on("error", () => {}));
    return near;
  }
}

class Queue {
  readonly #streams: Duplex[] = [];
  readonly #waiting = new Set<Later<Duplex>>();

  get length(): number {
    return this.#streams.length;
  }

  put(stream: Duplex): void {
    const [first] = this.#waiting;
    if (!first) return void this.#streams.push(stream);
    this.#waiting.delete(first);
    first.resolve(stream);
  }

  take(signal?: AbortSignal): Promise<Duplex> {
    const first = this.#streams.shift();
    if (first) return Promise.resolve(first);
    const turn = later<Duplex>();
    this.#waiting.add(turn);
    signal?.addEventListener("abort", () => {
      this.#waiting.delete(turn);
      turn.reject(signal.reason);
    });
    return turn.promise;
  }
}
