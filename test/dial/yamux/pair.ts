import { Duplex } from "node:stream";

/** One end of a connection in memory. What is written at one end is read at the other, with back-pressure. */
class End extends Duplex {
  other: End | undefined;
  /** Called when the other end wants more. */
  #taken: (() => void) | undefined;

  override _read(): void {
    const taken = this.other?.takeCallback();
    if (taken) setImmediate(taken);
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    if (!this.other || this.other.destroyed) done();
    else if (this.other.push(chunk)) setImmediate(done);
    else this.#taken = done;
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(failure: Error | null, done: (failure?: Error | null) => void): void {
    const { other } = this;
    this.takeCallback()?.();
    if (other && !other.destroyed) setImmediate(() => other.destroy());
    done(failure);
  }

  takeCallback(): (() => void) | undefined {
    const taken = this.#taken;
    this.#taken = undefined;
    return taken;
  }
}

/** The two ends of a connection in memory. One that is destroyed takes the other with it, as a socket does. */
export function duplexPair(highWaterMark = 16 * 1024): [Duplex, Duplex] {
  const [left, right] = [new End({ highWaterMark }), new End({ highWaterMark })];
  left.other = right;
  right.other = left;
  return [left, right];
}
