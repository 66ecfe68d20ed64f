import { type Frame, INITIAL_WINDOW_BYTES } from "../../../src/dial/yamux/frame.ts";
import { FrameReader } from "../../../src/dial/yamux/frame-reader.ts";

const [DATA, WINDOW_UPDATE, PING, GO_AWAY] = [0, 1, 2, 3];
const [SYN, ACK, FIN, RST] = [1, 2, 4, 8];

/** Reads what a session sends, and throws when it sends what yamux forbids, whatever it was sent itself. */
export class Referee {
  /** How many frames were right. */
  frames = 0;
  readonly #parity: number;
  /** What the session may still send on each stream that it has begun or accepted, and whether it may at all. */
  readonly #streams = new Map<number, { credit: number; isOver: boolean }>();
  /** Credit for streams that were not yet begun on the session's side. */
  readonly #early = new Map<number, number>();
  readonly #reader: FrameReader;

  constructor(side: "client" | "server") {
    this.#parity = side === "client" ? 1 : 0;
    this.#reader = new FrameReader({
      onFrame: (frame) => this.#judge(frame),
      onBody: () => {},
    });
  }

  /** The session has sent `bytes`. */
  read(bytes: Buffer): void {
    const wrong = this.#reader.read(bytes);
    if (wrong !== undefined) throw new Error(`The session sent ${wrong}.`);
  }

  /** The session is given credit by a frame that it will be sent. */
  grant({ streamId, length }: Frame): void {
    const stream = this.#streams.get(streamId);
    if (stream) stream.credit += length;
    else this.#early.set(streamId, (this.#early.get(streamId) ?? 0) + length);
  }

  #judge(frame: Frame): string | undefined {
    this.frames += 1;
    const { type, flags, streamId, length } = frame;
    if (type === PING || type === GO_AWAY) return streamId === 0 ? undefined : `frame ${type} on stream ${streamId}`;
    const isOwn = streamId % 2 === this.#parity;
    const begins = flags === SYN || flags === ACK;
    if (begins && (flags === SYN) === isOwn && type === WINDOW_UPDATE && !this.#streams.has(streamId)) {
      this.#streams.set(streamId, { credit: INITIAL_WINDOW_BYTES + (this.#early.get(streamId) ?? 0), isOver: false });
      return undefined;
    }
    const stream = this.#streams.get(streamId);
    // It refuses streams of ours without accepting them.
    if (!stream) return flags === RST && !isOwn ? undefined : `a frame ${type}/${flags} for a stream not begun`;
    if (type === WINDOW_UPDATE && flags === 0 && length > 0) return undefined;
    if (flags === RST && type === WINDOW_UPDATE) {
      this.#streams.delete(streamId);
      return undefined;
    }
    if (stream.isOver) return `a frame ${type}/${flags} after its end`;
    if (flags === FIN && type === WINDOW_UPDATE) stream.isOver = true;
    else if (type !== DATA || flags !== 0 || length === 0) return `a frame ${type}/${flags}`;
    stream.credit -= type === DATA ? length : 0;
    return stream.credit < 0 ? `${-stream.credit} bytes more than it may on ${streamId}` : undefined;
  }
}
