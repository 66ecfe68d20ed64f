import { Writable } from "node:stream";

/** Keeps everything that it is given. */
export class Collector extends Writable {
  readonly #chunks: Buffer[] = [];
  readonly #pause: (() => Promise<unknown>) | undefined;
  length = 0;

  /** @param pause what each piece waits for; then one piece is taken at a time */
  constructor(pause?: () => Promise<unknown>) {
    super({ highWaterMark: pause ? 1 : 64 * 1024 });
    this.#pause = pause;
  }

  override _write(chunk: Buffer, _encoding: string, done: (failure?: Error) => void): void {
    this.#chunks.push(chunk);
    this.length += chunk.length;
    if (this.#pause) this.#pause().then(() => done(), done);
    else done();
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.bytes().toString("utf8");
  }
}
