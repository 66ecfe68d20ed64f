import type { Duplex } from "node:stream";

/** Streams, each until it is closed. */
export class OpenStreams {
  readonly #streams = new Set<Duplex>();
  #onEmpty: (() => void)[] = [];

  /** Remembers one. */
  add(stream: Duplex): void {
    this.#streams.add(stream);
    stream.once("close", () => {
      this.#streams.delete(stream);
      if (this.#streams.size > 0) return;
      for (const tell of this.#onEmpty.splice(0)) tell();
    });
  }

  /** Resolves as soon as none is open, which is for others to bring about. */
  async closed(): Promise<void> {
    if (this.#streams.size === 0) return;
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Ends them all now. */
  destroy(): void {
    for (const stream of this.#streams) stream.destroy();
  }
}
