import { Duplex } from "node:stream";

/** How a stream ends before its time. */
export type Cut = "end" | "reset";

/** What comes out of `inner`, up to `limit` bytes; then it is over, in an orderly way or not. What goes in goes on. */
export class CutStream extends Duplex {
  readonly #inner: Duplex;
  #rest: number;

  constructor(inner: Duplex, limit: number, cut: Cut) {
    super({ allowHalfOpen: false });
    this.#inner = inner;
    this.#rest = limit;
    const over = () => {
      if (cut === "reset") this.destroy(new Error("read ECONNRESET"));
      else this.push(null);
      inner.destroy();
    };
    inner.on("error", () => {}).on("close", () => this.destroy());
    inner.on("data", (chunk: Buffer) => {
      const part = chunk.subarray(0, this.#rest);
      this.#rest -= part.length;
      if (part.length > 0 && !this.push(part)) inner.pause();
      if (this.#rest === 0) over();
    });
    if (limit === 0) setImmediate(over);
  }

  override _read(): void {
    this.#inner.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (failure?: Error | null) => void): void {
    // A plugin that is gone takes what is written, and nobody reads it.
    if (this.#inner.destroyed) done();
    else this.#inner.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#inner.end(() => done());
  }

  override _destroy(failure: Error | null, done: (failure?: Error | null) => void): void {
    this.#inner.destroy();
    done(failure);
  }
}
