const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;

/** Go's line reader does not work with less. */
const SMALLEST_LIMIT = 16;

/** A line without its end, or a part of one that was too long. */
export interface Piece {
  /** Valid until the next piece is asked for. */
  readonly bytes: Buffer;
  /** Whether this is a line's beginning, so that its last piece is another one. */
  readonly unfinished: boolean;
  /** Whether another piece of the same line went before. */
  readonly continued: boolean;
}

/**
 * Cuts a stream of bytes into lines as Go's `bufio.Reader.ReadLine` does: a line ends in `\n` or `\r\n`; one that is
 * longer than the limit, its end included, comes in pieces of at most that many bytes, and never more than that is
 * kept. However the bytes arrive, the pieces are the same.
 */
export class LinePieces {
  readonly #limit: number;
  /** Room for what is kept; it grows up to the limit. A copy, so that no chunk stays alive for a few of its bytes. */
  #room = Buffer.allocUnsafeSlow(0);
  #kept = 0;
  #continued = false;

  /** @param limit the longest piece, in bytes; less than 16 means 16 */
  constructor(limit: number) {
    this.#limit = Math.max(SMALLEST_LIMIT, limit);
  }

  /** The pieces that are complete with `chunk`. */
  *push(chunk: Buffer): Generator<Piece> {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + this.#limit - this.#kept);
      const end = part.indexOf(LINE_FEED);
      at += end === -1 ? part.length : end + 1;
      if (end !== -1) yield this.#last(withoutReturn(this.#take(part.subarray(0, end))));
      else if (this.#kept + part.length < this.#limit) this.#keep(part);
      else yield this.#unfinished(part);
    }
  }

  /** The last line, if it had no end. */
  *end(): Generator<Piece> {
    if (this.#kept > 0) yield this.#last(this.#take(Buffer.alloc(0)));
  }

  #last(bytes: Buffer): Piece {
    const continued = this.#continued;
    this.#continued = false;
    return { bytes, unfinished: false, continued };
  }

  /** As much of a line as may be kept. A `\r` at its end waits for what follows: it may belong to the line's end. */
  #unfinished(part: Buffer): Piece {
    const bytes = this.#take(part);
    const continued = this.#continued;
    this.#continued = true;
    const without = withoutReturn(bytes);
    if (without.length < bytes.length) {
      // The piece handed out may lie in the same room, in front of its last byte.
      this.#room = Buffer.from([CARRIAGE_RETURN]);
      this.#kept = 1;
    }
    return { bytes: without, unfinished: true, continued };
  }

  /** What was kept, with `part` behind it; nothing is kept any more. */
  #take(part: Buffer): Buffer {
    if (this.#kept === 0) return part;
    this.#keep(part);
    const all = this.#room.subarray(0, this.#kept);
    this.#kept = 0;
    return all;
  }

  #keep(part: Buffer): void {
    const needed = this.#kept + part.length;
    if (needed > this.#room.length) {
      const larger = Buffer.allocUnsafeSlow(Math.min(this.#limit, Math.max(needed, 2 * this.#room.length)));
      this.#room.copy(larger, 0, 0, this.#kept);
      this.#room = larger;
    }
    part.copy(this.#room, this.#kept);
    this.#kept = needed;
  }
}

function withoutReturn(bytes: Buffer): Buffer {
  return bytes.at(-1) === CARRIAGE_RETURN ? bytes.subarray(0, -1) : bytes;
}
