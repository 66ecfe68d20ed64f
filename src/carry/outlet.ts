/**
 * What one side is sent. Neighbouring bytes of one chunk that are passed on leave in one piece, without a copy, however
 * many frames they are.
 */
export class Outlet {
  readonly #write: (bytes: Buffer) => void;
  #chunk: Buffer | undefined;
  #from = 0;
  #end = 0;

  constructor(write: (bytes: Buffer) => void) {
    this.#write = write;
  }

  /** Sends a part of a chunk as it is. It may wait for {@link flush}. */
  pass(chunk: Buffer, from: number, end: number): void {
    if (chunk === this.#chunk && from === this.#end) {
      this.#end = end;
      return;
    }
    this.flush();
    this.#chunk = chunk;
    this.#from = from;
    this.#end = end;
  }

  /** Sends bytes of our own, after all that was passed. */
  write(bytes: Buffer): void {
    this.flush();
    this.#write(bytes);
  }

  /** Sends what waits. */
  flush(): void {
    const chunk = this.#chunk;
    this.#chunk = undefined;
    if (chunk && this.#end > this.#from) this.#write(chunk.subarray(this.#from, this.#end));
  }
}
