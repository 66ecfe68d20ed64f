import { Duplex, type Readable, type Writable } from "node:stream";

/**
 * A stream out of two others, one to read from and one to write to, or of a channel that is both. Unlike theirs, its
 * own end waits for nobody: what is destroyed is over at once.
 */
export class PairedStream extends Duplex {
  readonly #from: Readable;
  readonly #to: Writable;

  /** @param beforeEnd runs what it is given, which ends this stream as `from` has ended, now or a little later */
  constructor(from: Readable, to: Writable, beforeEnd: (end: () => void) => void = (end) => end()) {
    super({ allowHalfOpen: false });
    this.#from = from;
    this.#to = to;
    from.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) from.pause();
    });
    from.once("end", () => beforeEnd(() => this.push(null)));
    from.once("close", () => beforeEnd(() => this.destroy()));
    // Why one of the two failed is told by whoever knows them; here it is the end.
    for (const stream of new Set([from, to])) stream.on("error", () => beforeEnd(() => this.destroy()));
  }

  override _read(): void {
    this.#from.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (failure?: Error | null) => void): void {
    this.#to.write(chunk, () => done());
  }

  override _final(done: () => void): void {
    this.#to.end();
    done();
  }

  override _destroy(failure: Error | null, done: (failure?: Error | null) => void): void {
    this.#to.destroy();
    this.#from.destroy();
    done(failure);
  }
}
