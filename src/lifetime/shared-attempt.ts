import { abortError, within } from "./deadline.ts";

/**
 * One attempt that many wait for. It begins when the first one joins; one waiter's signal ends that waiter's wait
 * only, and the attempt itself ends when the last one has left before it was done.
 */
export class SharedAttempt<T> {
  readonly #task: (signal: AbortSignal) => Promise<T>;
  readonly #late: (result: T) => unknown;
  readonly #over = new AbortController();
  #running: Promise<T> | undefined;
  #waiting = 0;
  #failed = false;
  #result: T | undefined;

  /**
   * @param task gets a signal that aborts when nobody waits any more
   * @param late undoes what the task gave although everybody had left
   */
  constructor(task: (signal: AbortSignal) => Promise<T>, late: (result: T) => unknown) {
    this.#task = task;
    this.#late = late;
  }

  /** What the attempt gave; `undefined` before that. */
  get result(): T | undefined {
    return this.#result;
  }

  /** Whether it is worth joining: `false` once it has failed, or was given up because everybody left. */
  get usable(): boolean {
    return !this.#failed && !this.#over.signal.aborted;
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
    this.#running ??= this.#task(this.#over.signal).then(
      async (result) => {
        if (!this.#over.signal.aborted) {
          this.#result = result;
          return result;
        }
        await this.#late(result);
        throw abortError(this.#over.signal);
      },
      (failure) => {
        this.#failed = true;
        throw failure;
      },
    );
    // Its failure reaches those who wait; if nobody does, it is nobody's.
    this.#running.catch(() => {});
    return this.#running;
  }
}
