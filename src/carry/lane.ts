import { PluginError } from "../contract/errors.ts";
import { BlockOrder } from "./block-order.ts";
import { BrokerLane, type RewriteMessage } from "./broker-lane.ts";
import { type FrameHandler, FrameReader, type Treatment } from "./frame-reader.ts";
import {
  ACK,
  CONTINUATION,
  DATA,
  END_STREAM,
  FIRST_WINDOW,
  FRAME_ROOM,
  type FrameHeader,
  HEADER_TABLE_SIZE,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  leavesBlockOpen,
  PADDED,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
  windowUpdate,
  writeHeader,
} from "./frames.ts";
import { gather, readAlong } from "./gather.ts";
import { HeldFrames } from "./held-frames.ts";
import { Outlet } from "./outlet.ts";
import type { RequestPaths } from "./request-paths.ts";
import { SendWindow } from "./send-window.ts";

/** Hosts have one broker's stream; so many that are over are remembered, because allowances for them may still come. */
const MOST_OVER = 16;

const PASS: Treatment = { passes: true };

/** What a lane is told when it is made. */
export interface LaneOptions {
  /** Sends bytes to the receiver. */
  readonly write: (bytes: Buffer) => void;
  /** Reads along with the requests; only for the direction in which there are any. */
  readonly requests?: RequestPaths;
  /** Called if the first bytes are not those of HTTP/2; throws if that cannot be borne. */
  readonly onForeign: () => void;
}

/**
 * One direction of a spliced connection. Everything passes as it comes, except the broker's stream, which is taken out,
 * and the allowances that the receiver gives for it.
 *
 * The windows: the broker's bytes are no longer the same on both sides, so the sender is paid for them as soon as they
 * have come, and what the receiver pays for ours is kept. Where the sender, who does not know of ours, uses up the
 * whole window, his last bytes wait here for the receiver's next allowance. SETTINGS, PING, GOAWAY and allowances overtake
 * them, so two peers that wait for each other's allowances get them. Headers and RST_STREAM do not, whatever their
 * stream: a receiver who reads nothing of one stream until another has begun has to have room for both, as on a
 * connection whose window is used up by DATA.
 */
export class Lane implements FrameHandler {
  /** The one that goes the other way. */
  opposite!: Lane;
  /** This direction of the broker's streams, by their ids. */
  readonly brokers = new Map<number, BrokerLane>();
  /** What the receiver allows on each new stream. */
  initialWindow = FIRST_WINDOW;
  /** Whether everything passes unread. */
  isRaw = false;
  readonly #outlet: Outlet;
  readonly #reader: FrameReader;
  readonly #options: LaneOptions;
  readonly #held = new HeldFrames();
  readonly #injections: Buffer[] = [];
  /** The receiver's, for the whole connection. */
  readonly #window = new SendWindow();
  readonly #order = new BlockOrder();
  /** The receiver has got SETTINGS, which must come first. */
  #hasBegun = false;
  /** Headers have been sent that the next frame goes on with. */
  #isBlockOpen = false;

  constructor(options: LaneOptions) {
    this.#options = options;
    this.#outlet = new Outlet(options.write);
    this.#reader = new FrameReader(this.#outlet, this, options.requests !== undefined);
  }

  /**
   * Takes what the sender has sent.
   *
   * @throws {PluginError} `connection-lost` if it is not HTTP/2
   */
  take(chunk: Buffer): void {
    if (this.isRaw) this.#options.write(chunk);
    else this.#reader.take(chunk);
  }

  /** From now on everything passes unread. */
  giveUp(): void {
    this.isRaw = true;
    if (this.#reader.leftOver.length > 0) this.#outlet.write(this.#reader.leftOver);
  }

  /** Sends a frame of ours as soon as one may come. */
  inject(frame: Buffer): void {
    this.#injections.push(frame);
    this.settle();
  }

  /** Sends what could not be sent before, as far as it can be now. */
  settle(): void {
    if (!this.#hasBegun || this.#reader.isPassing) return;
    this.#sendHeld();
    if (this.#isBlockOpen) return;
    for (const frame of this.#injections.splice(0)) this.#outlet.write(frame);
    if (this.#held.isEmpty) for (const [id, broker] of this.brokers) this.#sendBroker(id, broker);
  }

  /** The receiver's window on a broker's stream, or on the connection, which is 0. */
  windowOf(id: number): SendWindow {
    return this.brokers.get(id)?.window ?? this.#window;
  }

  /** The receiver allows more. */
  credit(id: number, increment: number): void {
    this.windowOf(id).room += increment;
    this.settle();
  }

  begin(header: FrameHeader, isRest: boolean): Treatment {
    this.#order.check(header);
    switch (header.type) {
      case DATA:
        return this.#data(header, isRest);
      case HEADERS:
      case CONTINUATION:
      case PUSH_PROMISE:
        return this.#headers(header);
      case RST_STREAM:
        this.abandon(header.id);
        this.opposite.abandon(header.id);
        return this.#held.isEmpty ? PASS : this.#hold(header);
      case SETTINGS:
        return this.#settings(header);
      case WINDOW_UPDATE:
        return this.#windowUpdate(header);
      default:
        return PASS;
    }
  }

  between(): void {
    this.settle();
  }

  foreign(): void {
    this.#options.onForeign();
  }

  /** This direction of a broker's stream that begins. */
  openBroker(id: number, rewrite: RewriteMessage): BrokerLane {
    const over = [...this.brokers].filter(([, broker]) => broker.over);
    for (const [old] of over.slice(0, Math.max(0, over.length - MOST_OVER))) this.brokers.delete(old);
    const broker = new BrokerLane(rewrite, () => this.settle(), this.initialWindow);
    this.brokers.set(id, broker);
    return broker;
  }

  /** The stream is no more, if it is a broker's. */
  abandon(id: number): void {
    this.brokers.get(id)?.abandon();
    this.brokers.delete(id);
  }

  #data(header: FrameHeader, isRest: boolean): Treatment {
    const broker = this.brokers.get(header.id);
    if (broker) return gather(header, (payload) => this.#takeData(header, payload, broker));
    if (!this.#held.isEmpty) return this.#hold(header);
    const { length, flags } = header;
    if (length <= this.#window.room) {
      this.#window.room -= length;
      return isRest ? { passes: true, header: writeHeader(header) } : PASS;
    }
    const first = this.#window.room;
    if (first <= 0 || flags & PADDED) return this.#hold(header);
    this.#window.room = 0;
    return { passes: true, first, header: writeHeader({ ...header, length: first, flags: flags & ~END_STREAM }) };
  }

  #takeData({ id, length, flags }: FrameHeader, payload: Buffer, broker: BrokerLane): void {
    const padding = flags & PADDED ? (payload[0] ?? 0) + 1 : 0;
    if (padding > length) throw new PluginError("connection-lost", "A frame came with more padding than frame.");
    broker.take(flags & PADDED ? payload.subarray(1, length - padding + 1) : payload);
    if (flags & END_STREAM) broker.end();
    broker.owed += length;
    if (length > 0) this.opposite.inject(windowUpdate(0, length));
    this.pay(id, broker);
  }

  /** Allows the sender as much on the broker's stream as he has sent, if there is room for more. */
  pay(id: number, broker: BrokerLane): void {
    if (broker.owed === 0 || !broker.hasRoom) return;
    const { owed } = broker;
    broker.owed = 0;
    this.opposite.inject(windowUpdate(id, owed));
  }

  #headers(header: FrameHeader): Treatment {
    const { requests } = this.#options;
    const { id, type, flags } = header;
    if (type === HEADERS && flags & END_STREAM) {
      this.settle();
      // Headers keep their order, so these cannot wait for what the broker's stream has not sent yet.
      this.brokers.get(id)?.abandon();
    }
    if (!this.#held.isEmpty) return this.#hold(header, requests);
    this.#isBlockOpen = leavesBlockOpen(header);
    return requests ? readAlong(header, (payload) => requests.read(header, payload)) : PASS;
  }

  #settings(header: FrameHeader): Treatment {
    return readAlong(header, (payload) => {
      this.#hasBegun = true;
      if (header.flags & ACK) return;
      for (let at = 0; at + 6 <= payload.length; at += 6) {
        this.opposite.#learn(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
      }
    });
  }

  /** The receiver has said how it wants to be sent to. */
  #learn(setting: number, value: number): void {
    if (setting === HEADER_TABLE_SIZE) this.#options.requests?.allow(value);
    if (setting !== INITIAL_WINDOW_SIZE) return;
    for (const broker of this.brokers.values()) broker.window.room += value - this.initialWindow;
    this.initialWindow = value;
    this.settle();
  }

  #windowUpdate(header: FrameHeader): Treatment {
    const { id, length } = header;
    // Of a stream that both sides see alike nothing is kept; what is malformed is for the receiver to complain of.
    if (length !== 4 || (id !== 0 && !this.opposite.brokers.has(id))) return PASS;
    const window = this.opposite.windowOf(id);
    const isPassed = !window.hasDebt;
    return (isPassed ? readAlong : gather)(header, (payload) => {
      const increment = payload.readUInt32BE(0) & 0x7fff_ffff;
      this.opposite.credit(id, increment);
      const left = isPassed ? 0 : window.withhold(increment);
      if (left > 0) this.#outlet.write(windowUpdate(id, left));
    });
  }

  #hold(header: FrameHeader, requests?: RequestPaths): Treatment {
    return gather(header, (payload) => {
      this.#held.add(header, [payload]);
      requests?.read(header, payload);
    });
  }

  #sendHeld(): void {
    for (;;) {
      const next = this.#held.next(this.#window.room);
      if (!next) return;
      this.#window.room -= next.cost;
      this.#isBlockOpen = next.isBlockOpen;
      this.#outlet.write(next.bytes);
    }
  }

  #sendBroker(id: number, broker: BrokerLane): void {
    for (;;) {
      const bytes = broker.next(Math.min(FRAME_ROOM, this.#window.room, broker.window.room));
      if (!bytes) break;
      for (const window of [this.#window, broker.window]) window.lend(bytes.length);
      this.#outlet.write(Buffer.concat([writeHeader({ length: bytes.length, type: DATA, flags: 0, id }), bytes]));
    }
    if (broker.isAtEnd) {
      this.#outlet.write(writeHeader({ length: 0, type: DATA, flags: END_STREAM, id }));
      broker.abandon();
    } else {
      this.pay(id, broker);
    }
  }
}
