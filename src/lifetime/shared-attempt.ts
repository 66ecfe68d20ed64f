import { within } from "./deadline.ts";

/**
 * One attempt that many wait for. It begins when the first one joins; one waiter's signal ends that waiter's wait
 * only, and the attempt itself ends when the last one has left before it was done.
 */
export class SharedAttempt<T> {
  readonly #task: (signal: AbortSignal) => Promise<T>;
  readonly #over = new AbortController();
  #running: Promise<T> | undefined;
  #waiting = 0;
  #result: T | undefined;

  /** @param task gets a signal that aborts when nobody waits any more */
  constructor(task: (signal: AbortSignal) => Promise<T>) {
    this.#task = task;
  }

  /** What the attempt gave; `undefined` before that. */
  get result(): T | undefined {
    return this.#result;
  }

  /** Waits for the attempt's outcome. */
  async join(signal?: AbortSignal): Promise<T> {
    this.#waiting += 1;
    try {
      return await within({ signal }, () => this.#run());
    } finally {
      this.#waiting -= 1;
      if (this.#waiting === 0 && this.#result === undefined) this.#over.abort();
    }
  }

  #run(): Promise<T> {
    this.#running ??= this.#task(this.#over.signal).then((result) => {
      this.#result = result;
      return result;
    });
    // Its failure reaches those who wait; if nobody does, it is nobody's.
    this.#running.catch(() => {});
    return this.#running;
  }
}
