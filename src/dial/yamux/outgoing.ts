import { INITIAL_WINDOW_BYTES, TYPE } from "./frame.ts";
import type { Packer } from "./packer.ts";

/** How a write is told to be done. */
export type WriteDone = (failure?: Error | null) => void;

/** What was written to one stream and waits for credit, or for its turn on the carrier. One write at a time. */
export class Outgoing {
  #pieces: Buffer[] = [];
  /** Which of the pieces is the first that is not yet sent. */
  #next = 0;
  #bytes = 0;
  #credit = INITIAL_WINDOW_BYTES;
  #done: WriteDone | undefined;

  /** Whether something could be sent now. */
  get isReady(): boolean {
    return this.#bytes > 0 && this.#credit > 0;
  }

  /** `pieces` will be sent, and `done` is called when the carrier has taken them all. */
  put(pieces: Buffer[], done: WriteDone): void {
    this.#pieces = pieces.filter((piece) => piece.length > 0);
    this.#next = 0;
    this.#bytes = this.#pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (this.#bytes === 0) done();
    else this.#done = done;
  }

  /** The other side takes `bytes` more. */
  grant(bytes: number): void {
    this.#credit += bytes;
  }

  /** Packs one data frame with at most `limit` bytes, and gives whether more could be sent now. */
  pack(packer: Packer, streamId: number, limit: number): boolean {
    const length = Math.min(limit, this.#bytes, this.#credit);
    if (length === 0) return false;
    packer.header({ type: TYPE.data, flags: 0, streamId, length });
    this.#credit -= length;
    this.#bytes -= length;
    for (let missing = length; missing > 0; ) {
      const piece = this.#pieces[this.#next] as Buffer;
      packer.body(piece.length <= missing ? piece : piece.subarray(0, missing));
      if (piece.length <= missing) this.#next += 1;
      else this.#pieces[this.#next] = piece.subarray(missing);
      missing -= Math.min(missing, piece.length);
    }
    if (this.#bytes === 0) packer.whenTaken(() => this.#finish());
    return this.isReady;
  }

  /** Nothing more will be sent; a write under way fails with `failure`. */
  fail(failure: Error): void {
    this.#bytes = 0;
    this.#finish(failure);
  }

  #finish(failure?: Error): void {
    const done = this.#done;
    this.#done = undefined;
    this.#pieces = [];
    done?.(failure);
  }
}
