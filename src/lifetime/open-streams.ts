import type { Duplex } from "node:stream";

/** Streams, each until it is over: until it is closed, or until all that came on it has been read. */
export class OpenStreams {
  readonly #until: "closed" | "read";
  readonly #streams = new Set<Duplex>();
  #onOver: (() => void)[] = [];

  constructor(until: "closed" | "read" = "closed") {
    this.#until = until;
  }

  /** Remembers one. */
  add(stream: Duplex): void {
    this.#streams.add(stream);
    if (this.#until === "read") stream.once("end", () => this.#tell());
    stream.once("close", () => {
      this.#streams.delete(stream);
      this.#tell();
    });
  }

  /** Resolves as soon as all are over, which is for others to bring about. */
  async over(): Promise<void> {
    if (this.#areOver()) return;
    await new Promise<void>((resolve) => this.#onOver.push(resolve));
  }

  /** Ends them all now. */
  destroy(): void {
    for (const stream of this.#streams) stream.destroy();
  }

  /** One that was destroyed may be long in closing: a channel waits for its server. */
  #areOver(): boolean {
    return [...this.#streams].every((stream) => {
      return stream.destroyed || (this.#until === "read" && stream.readableEnded);
    });
  }

  #tell(): void {
    if (this.#areOver()) for (const tell of this.#onOver.splice(0)) tell();
  }
}
