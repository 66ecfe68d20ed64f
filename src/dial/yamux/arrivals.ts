import { within } from "../../lifetime/deadline.ts";
import type { YamuxStream } from "./yamux-stream.ts";

/** The streams that the other side has opened and nobody has taken, and those who wait to take one. */
export class Arrivals {
  readonly #limit: number;
  readonly #waiting = new Set<YamuxStream>();
  readonly #takers = new Set<(stream: YamuxStream) => void>();

  /** @param limit how many may wait */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `stream` is taken, or waits to be; `false` if too many wait already. */
  add(stream: YamuxStream): boolean {
    for (const take of this.#takers) {
      this.#takers.delete(take);
      take(stream);
      return true;
    }
    if (this.#waiting.size >= this.#limit) return false;
    this.#waiting.add(stream);
    return true;
  }

  /** `stream` does not wait any more. */
  remove(stream: YamuxStream): void {
    this.#waiting.delete(stream);
  }

  /** The next stream, in the order of their coming. Rejects with the reason of `over` when that aborts. */
  take(over: AbortSignal, signal?: AbortSignal): Promise<YamuxStream> {
    const limits = { signal, until: [over] };
    const next = (given: AbortSignal) =>
      new Promise<YamuxStream>((resolve) => {
        for (const stream of this.#waiting) {
          this.#waiting.delete(stream);
          resolve(stream);
          return;
        }
        this.#takers.add(resolve);
        given.addEventListener("abort", () => this.#takers.delete(resolve), { once: true });
      });
    // A stream that came in the very moment in which its taker gave up goes to the next one.
    return within(limits, next, (stream) => {
      if (!stream.destroyed && !this.add(stream)) stream.destroy();
    });
  }
}
