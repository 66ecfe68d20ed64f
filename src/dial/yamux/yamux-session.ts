import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import type { PluginError } from "../../contract/errors.ts";
import { Arrivals } from "./arrivals.ts";
import { endCarrier } from "./end-carrier.ts";
import { FLAG, type Frame, GO_AWAY, TYPE, UINT32_MAX } from "./frame.ts";
import { type FrameHandler, FrameReader } from "./frame-reader.ts";
import { KeepAlive } from "./keep-alive.ts";
import { Openings } from "./openings.ts";
import { Outbox } from "./outbox.ts";
import { PeerIds } from "./peer-ids.ts";
import { carrierLost, idsExhausted, protocolBroken, sentAway, sessionClosed, wentAway } from "./yamux-errors.ts";
import { type YamuxOptions, type YamuxSettings, yamuxSettings } from "./yamux-options.ts";
import { type StreamHome, YamuxStream } from "./yamux-stream.ts";

export type { YamuxOptions } from "./yamux-options.ts";

const debug = createDebug("go-plugin-ssh:dial");

/** So many answers may wait for a carrier that does not move. Who asks more and does not listen will never stop. */
const MOST_ANSWERS = 65_536;

/**
 * Many streams over one: HashiCorp's yamux, as go-plugin uses it for net/rpc and for its multiplexed broker.
 *
 * The carrier is always read, however slowly single streams are: each has a window of its own, and Go gives up a
 * connection on which it cannot write for 10 s. When the session is over, for whatever reason, so are its streams and
 * everybody who waits, at once, and the carrier is closed.
 */
export class YamuxSession implements AsyncDisposable {
  readonly #carrier: Duplex;
  readonly #settings: YamuxSettings;
  readonly #home: StreamHome;
  readonly #outbox: Outbox;
  readonly #reader: FrameReader;
  readonly #keepAlive: KeepAlive;
  readonly #openings: Openings;
  readonly #arrivals: Arrivals;
  readonly #peerIds: PeerIds;
  readonly #streams = new Map<number, YamuxStream>();
  readonly #over = new AbortController();
  #carrierClosed: Promise<void> | undefined;
  #nextId: number;
  #hasGoneAway = false;
  /** Whose data are being read, and whether they are its last. */
  #addressee: { stream: YamuxStream; isEnd: boolean } | undefined;

  /**
   * @param carrier what the streams travel on; it belongs to the session from now on
   * @throws {PluginError} `bad-options`
   */
  constructor(carrier: Duplex, options: YamuxOptions) {
    const settings = yamuxSettings(options);
    const isClient = settings.side === "client";
    setMaxListeners(0, this.#over.signal);
    this.#carrier = carrier;
    this.#settings = settings;
    this.#nextId = isClient ? 1 : 2;
    this.#peerIds = new PeerIds(isClient ? 2 : 1);
    this.#outbox = new Outbox(carrier);
    this.#reader = new FrameReader(this.#handler());
    this.#arrivals = new Arrivals(settings.acceptBacklog);
    this.#openings = new Openings({ limit: settings.acceptBacklog, timeoutMs: settings.openTimeoutMs });
    this.#home = this.#homeOfStreams();
    this.#keepAlive = new KeepAlive({
      intervalMs: settings.keepAliveIntervalMs,
      timeoutMs: settings.keepAliveTimeoutMs,
      ask: () => this.#outbox.control({ type: TYPE.ping, flags: FLAG.syn, streamId: 0, length: 0 }),
      onSilence: () => this.#end(carrierLost(`nothing came for ${settings.keepAliveTimeoutMs} ms after a ping`)),
    });
    this.#listen();
  }

  /** Aborts when the session is over; its reason is a `PluginError`. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** How many streams are open, those that wait to be accepted included. */
  get streams(): number {
    return this.#streams.size;
  }

  /**
   * Opens a stream. It may be written to at once; the other side may still reset it, or not accept it in time.
   *
   * @throws {PluginError} the reason of {@link over}, or `closed` if the other side takes no new streams
   */
  open(): Duplex {
    this.over.throwIfAborted();
    if (this.#hasGoneAway) throw wentAway();
    const id = this.#nextId;
    if (id > UINT32_MAX) throw idsExhausted();
    this.#nextId += 2;
    const stream = new YamuxStream(id, this.#home);
    this.#streams.set(id, stream);
    this.#openings.add(stream);
    return stream;
  }

  /**
   * The next stream that the other side opens, or has opened; it is told when it is accepted here.
   *
   * @throws {PluginError} the reason of {@link over}; `aborted` or `timeout` for `signal`, which gives up this wait only
   */
  async accept(signal?: AbortSignal): Promise<Duplex> {
    for (;;) {
      const stream = await this.#arrivals.take(this.over, signal);
      // It may have been reset while it was handed over.
      if (stream.destroyed) continue;
      stream.accept();
      return stream;
    }
  }

  /** Ends the session: the other side is told, streams that are not complete fail with `reason`. May be called often. */
  close(reason: PluginError = sessionClosed()): void {
    this.#end(reason, GO_AWAY.normal);
  }

  /** Closes the session, and resolves when the carrier is closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#carrierClosed;
  }

  #listen(): void {
    const carrier = this.#carrier;
    carrier.on("error", (failure) => this.#end(carrierLost(failure.message, failure)));
    carrier.on("close", () => this.#end(this.#lost("it was closed")));
    carrier.on("end", () => this.#end(this.#lost("it ended")));
    carrier.on("data", (chunk: Buffer) => this.#read(chunk));
    carrier.resume();
    if (carrier.destroyed || carrier.readableEnded) this.#end(this.#lost("it had ended before"));
  }

  #lost(how: string): PluginError {
    if (this.#reader.isInside) return carrierLost(`${how} in the middle of a frame`);
    return this.#hasGoneAway ? wentAway() : carrierLost(how);
  }

  #read(chunk: Buffer): void {
    if (this.over.aborted) return;
    this.#keepAlive.heard();
    let isRead = false;
    try {
      const wrong = this.#reader.read(chunk);
      if (wrong !== undefined) this.#end(protocolBroken(wrong), GO_AWAY.protocolError);
      isRead = true;
    } finally {
      // The rest of the chunk is lost, and without it nothing that follows can be understood.
      if (!isRead) this.#end(carrierLost("a listener of one of its streams threw"), GO_AWAY.internalError);
    }
  }

  #handler(): FrameHandler {
    return {
      onFrame: (frame) => (this.over.aborted ? "it was over" : this.#onFrame(frame)),
      onBody: (piece, isLast) => {
        const to = this.#addressee;
        if (isLast) this.#addressee = undefined;
        to?.stream.onBody(piece);
        if (isLast && to?.isEnd) to.stream.onEnd();
      },
    };
  }

  #onFrame(frame: Frame): string | undefined {
    if (frame.type === TYPE.ping) return this.#onPing(frame);
    if (frame.type === TYPE.goAway) return this.#onGoAway(frame.length);
    const isNew = (frame.flags & FLAG.syn) !== 0;
    return (isNew ? this.#onNewStream(frame.streamId) : undefined) ?? this.#onStreamFrame(frame);
  }

  #onPing({ flags, length }: Frame): string | undefined {
    if ((flags & FLAG.syn) === 0) return undefined;
    return this.#answer({ type: TYPE.ping, flags: FLAG.ack, streamId: 0, length });
  }

  #onGoAway(code: number): undefined {
    if (code === GO_AWAY.normal) this.#hasGoneAway = true;
    else this.#end(sentAway(code));
  }

  #onNewStream(id: number): string | undefined {
    if (!this.#peerIds.claim(id)) return `it opened a stream with the id ${id}, which is not free`;
    const stream = new YamuxStream(id, this.#home);
    this.#streams.set(id, stream);
    if (this.#arrivals.add(stream)) return undefined;
    this.#streams.delete(id);
    return this.#answer({ type: TYPE.windowUpdate, flags: FLAG.rst, streamId: id, length: 0 });
  }

  /** What comes for a stream that we have given up, or never had, is of no interest. */
  #onStreamFrame({ type, flags, streamId, length }: Frame): string | undefined {
    const stream = this.#streams.get(streamId);
    if (!stream || this.#openings.hides(stream)) return undefined;
    this.#openings.remove(stream);
    if (type === TYPE.data && !stream.onData(length))
      return `it sent more on stream ${streamId} than it had credit for`;
    if (type === TYPE.windowUpdate) stream.onGrant(length);
    if (flags & FLAG.rst) stream.onReset();
    else if (type === TYPE.data && length > 0) this.#addressee = { stream, isEnd: (flags & FLAG.fin) !== 0 };
    else if (flags & FLAG.fin) stream.onEnd();
    return undefined;
  }

  #answer(frame: Frame): string | undefined {
    if (this.#outbox.waiting >= MOST_ANSWERS) return "it asks for answers and does not read them";
    this.#outbox.control(frame);
    return undefined;
  }

  #homeOfStreams(): StreamHome {
    return {
      settings: this.#settings,
      control: (frame) => this.#outbox.control(frame),
      ready: (stream) => this.#outbox.ready(stream),
      forget: (stream) => {
        this.#streams.delete(stream.id);
        this.#outbox.forget(stream);
        this.#arrivals.remove(stream);
        this.#openings.remove(stream);
      },
    };
  }

  /** @param code what the other side is told, if it can still be told */
  #end(reason: PluginError, code?: number): void {
    if (this.over.aborted) return;
    debug("%s session over: %s", this.#settings.side, reason.message);
    this.#over.abort(reason);
    this.#keepAlive.stop();
    this.#openings.stop();
    if (code !== undefined) this.#outbox.control({ type: TYPE.goAway, flags: 0, streamId: 0, length: code });
    this.#outbox.finish();
    this.#carrierClosed = endCarrier(this.#carrier);
    for (const stream of [...this.#streams.values()]) stream.destroy(reason);
  }
}
