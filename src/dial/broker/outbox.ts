import { abortError } from "../../lifetime/deadline.ts";
import { type Later, later } from "../../lifetime/later.ts";

/** What goes out by a stream, one after the other. Each who sends learns when it has left. */
export class Outbox<T> implements AsyncIterable<T> {
  readonly #waiting = new Map<Later<void>, T>();
  #wake = () => {};
  #ended = false;

  /** Resolves when whoever reads has taken `message`. If `signal` aborts before, it is withdrawn. */
  put(message: T, signal: AbortSignal): Promise<void> {
    const taken = later<void>();
    if (signal.aborted) {
      taken.reject(abortError(signal));
      return taken.promise;
    }
    this.#waiting.set(taken, message);
    const withdraw = () => {
      if (this.#waiting.delete(taken)) taken.reject(abortError(signal));
    };
    signal.addEventListener("abort", withdraw, { once: true });
    this.#wake();
    return taken.promise.finally(() => signal.removeEventListener("abort", withdraw));
  }

  /** Nothing goes out any more; the stream ends. */
  end(): void {
    this.#ended = true;
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    while (!this.#ended) {
      const [next] = this.#waiting;
      if (next) {
        const [taken, message] = next;
        this.#waiting.delete(taken);
        taken.resolve();
        yield message;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}
