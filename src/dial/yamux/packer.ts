import type { Writable } from "node:stream";
import { type Frame, HEADER_BYTES, writeHeader } from "./frame.ts";

/** Up to here it is cheaper to copy bytes next to their header than to write them by themselves. */
const WORTH_A_COPY = 4 * 1024;

/** Copies go into pieces of memory of this size. */
const SLAB_BYTES = 16 * 1024;

/** Packs frames for one write: small ones side by side into one piece of memory, large bodies as they are. */
export class Packer {
  #slab = Buffer.alloc(0);
  /** What of the slab is packed and not yet in `#parts`. */
  #from = 0;
  #to = 0;
  #parts: Buffer[] = [];
  #onTaken: (() => void)[] = [];
  #bytes = 0;

  /** How many bytes are packed. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds the header of a frame. */
  header(frame: Frame): void {
    const at = this.#reserve(HEADER_BYTES);
    writeHeader(this.#slab, at, frame);
  }

  /** Adds a part of the body of the last frame. It must not change until the carrier has taken it. */
  body(bytes: Buffer): void {
    if (bytes.length <= WORTH_A_COPY) {
      const at = this.#reserve(bytes.length);
      bytes.copy(this.#slab, at);
      return;
    }
    this.#closeRun();
    this.#parts.push(bytes);
    this.#bytes += bytes.length;
  }

  /** `callback` is called when the carrier has taken what was packed so far; never if it fails. */
  whenTaken(callback: () => void): void {
    this.#onTaken.push(callback);
  }

  /** Everything is written to `carrier`, in one go if it can do so, and nothing is packed any more. */
  writeTo(carrier: Writable): void {
    this.#closeRun();
    const [parts, onTaken] = [this.#parts, this.#onTaken];
    this.#parts = [];
    this.#onTaken = [];
    this.#bytes = 0;
    const last = parts.pop();
    if (!last) return;
    const taken = (failure?: Error | null) => {
      if (!failure) for (const callback of onTaken) callback();
    };
    if (parts.length === 0) {
      carrier.write(last, taken);
      return;
    }
    carrier.cork();
    for (const part of parts) carrier.write(part);
    carrier.write(last, taken);
    carrier.uncork();
  }

  #reserve(bytes: number): number {
    if (this.#slab.length - this.#to < bytes) {
      this.#closeRun();
      this.#slab = Buffer.allocUnsafeSlow(SLAB_BYTES);
      this.#from = 0;
      this.#to = 0;
    }
    const at = this.#to;
    this.#to += bytes;
    this.#bytes += bytes;
    return at;
  }

  #closeRun(): void {
    if (this.#to > this.#from) this.#parts.push(this.#slab.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
