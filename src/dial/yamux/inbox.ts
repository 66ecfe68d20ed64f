/** Small pieces are copied together into pieces of memory of this size. */
const SLAB_BYTES = 4 * 1024;

/** A piece that is at least this part of the memory it belongs to is kept as it is. */
const WORTH_KEEPING = 1 / 4;

/**
 * Bytes that have come for a stream and wait for its reader. A small piece of a large chunk is copied, because the
 * chunk, most of which may belong to other streams, would be kept as long as the piece: so a reader that stands still
 * costs little more than what it has not read.
 */
export class Inbox {
  #pieces: Buffer[] = [];
  #slab: Buffer | undefined;
  /** What of the slab is filled and not yet in `#pieces`. */
  #from = 0;
  #to = 0;
  #bytes = 0;

  /** How much waits. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `piece` is the last that waits. */
  add(piece: Buffer): void {
    this.#bytes += piece.length;
    if (piece.length >= piece.buffer.byteLength * WORTH_KEEPING) {
      this.#closeRun();
      this.#pieces.push(piece);
      return;
    }
    for (let rest = piece; rest.length > 0; ) {
      this.#slab ??= Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, rest.length));
      const copied = rest.copy(this.#slab, this.#to);
      this.#to += copied;
      rest = rest.subarray(copied);
      if (this.#to === this.#slab.length) this.#dropSlab();
    }
  }

  /** The next bytes, which no longer wait; `undefined` if there are none. */
  take(): Buffer | undefined {
    if (this.#pieces.length === 0) this.#closeRun();
    const piece = this.#pieces.shift();
    this.#bytes -= piece?.length ?? 0;
    return piece;
  }

  /** Nothing waits any more. */
  clear(): void {
    this.#pieces = [];
    this.#bytes = 0;
    this.#from = this.#to;
    this.#dropSlab();
  }

  #closeRun(): void {
    if (this.#slab && this.#to > this.#from) this.#pieces.push(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  #dropSlab(): void {
    this.#closeRun();
    this.#slab = undefined;
    this.#from = 0;
    this.#to = 0;
  }
}
