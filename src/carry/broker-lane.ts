import { setMaxListeners } from "node:events";
import { gunzipSync } from "node:zlib";
import { PluginError } from "../contract/errors.ts";
import { SendWindow } from "./send-window.ts";

/** A gRPC message on the wire: a byte for compression, four for the length, then the message (gRPC over HTTP/2). */
const PREFIX = 5;
/** An announcement has a number and a path. */
const LONGEST_MESSAGE = 65_536;
/** How much may wait here before its sender is allowed more. */
const MOST_WAITING = 4 * LONGEST_MESSAGE;

/** Gives what is to be sent in the place of a message. Never rejects; never longer than a message may be. */
export type RewriteMessage = (message: Buffer, signal: AbortSignal) => Promise<Buffer> | Buffer;

/** One message on its way: first as it came, then as it goes. */
interface Passenger {
  readonly length: number;
  bytes: Buffer | undefined;
}

/**
 * One direction of the broker's stream. Messages are taken out of the frames, rewritten all at once, and leave in the
 * order in which they came.
 */
export class BrokerLane {
  /** The receiver's, for this stream. */
  readonly window: SendWindow;
  /** How many bytes the sender is to be paid for when there is room again. */
  owed = 0;
  /** Whether the receiver has been told the end. */
  over = false;
  readonly #rewrite: RewriteMessage;
  readonly #onReady: () => void;
  readonly #ending = new AbortController();
  readonly #queue: Passenger[] = [];
  #partial: Buffer = Buffer.alloc(0);
  #waiting = 0;
  #ended = false;

  /** @param onReady called when something can be sent, later than the message came */
  constructor(rewrite: RewriteMessage, onReady: () => void, window?: number) {
    // One listener for each message that is being rewritten is no leak.
    setMaxListeners(0, this.#ending.signal);
    this.#rewrite = rewrite;
    this.#onReady = onReady;
    this.window = new SendWindow(window);
  }

  /** Whether the sender may be allowed more. */
  get hasRoom(): boolean {
    return !this.#ended && this.#waiting + this.#partial.length <= MOST_WAITING;
  }

  /** Whether only the end is left to be sent. */
  get isAtEnd(): boolean {
    return this.#ended && !this.over && this.#queue.length === 0;
  }

  /**
   * Takes a piece of the stream.
   *
   * @throws {PluginError} `connection-lost` if it is no announcement
   */
  take(data: Buffer): void {
    if (this.#ended) return;
    this.#partial = this.#partial.length === 0 ? Buffer.from(data) : Buffer.concat([this.#partial, data]);
    while (this.#partial.length >= PREFIX) {
      const length = this.#partial.readUInt32BE(1);
      if (length > LONGEST_MESSAGE) {
        throw new PluginError("connection-lost", `A message of ${length} bytes came on the broker's stream.`);
      }
      if (this.#partial.length < PREFIX + length) return;
      this.#board(this.#partial.subarray(0, PREFIX + length));
      this.#partial = this.#partial.subarray(PREFIX + length);
    }
  }

  /** The sender has ended the stream. What is under way still arrives. */
  end(): void {
    this.#ended = true;
    // Half a message is for the receiver to complain of.
    if (this.#partial.length > 0) this.#queue.push({ length: 0, bytes: this.#partial });
    this.#partial = Buffer.alloc(0);
  }

  /** The stream is no more: nothing is sent any longer. */
  abandon(): void {
    this.#ended = true;
    this.over = true;
    this.#queue.length = 0;
    this.#partial = Buffer.alloc(0);
    this.#ending.abort(new PluginError("closed", "The broker's stream has ended."));
  }

  /** The next bytes to send, not more than `most`; `undefined` if there are none yet. */
  next(most: number): Buffer | undefined {
    const [head] = this.#queue;
    if (!head?.bytes || most <= 0) return undefined;
    const bytes = head.bytes.subarray(0, most);
    if (bytes.length < head.bytes.length) {
      head.bytes = head.bytes.subarray(most);
    } else {
      this.#queue.shift();
      this.#waiting -= head.length;
    }
    return bytes;
  }

  #board(framed: Buffer): void {
    const message = uncompressed(framed);
    const passenger: Passenger = { length: framed.length, bytes: undefined };
    this.#queue.push(passenger);
    this.#waiting += framed.length;
    const rewritten = message ? this.#rewrite(message, this.#ending.signal) : undefined;
    if (!rewritten) passenger.bytes = framed;
    else if (Buffer.isBuffer(rewritten)) passenger.bytes = prefixed(rewritten);
    else {
      void rewritten.then((bytes) => {
        passenger.bytes = prefixed(bytes);
        if (!this.over) this.#onReady();
      });
    }
  }
}

/** The message itself; `undefined` if it is packed in a way that only its receiver knows. */
function uncompressed(framed: Buffer): Buffer | undefined {
  const message = framed.subarray(PREFIX);
  if (framed[0] === 0) return message;
  try {
    return gunzipSync(message, { maxOutputLength: LONGEST_MESSAGE });
  } catch {
    return undefined;
  }
}

function prefixed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}
