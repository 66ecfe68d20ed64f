import { afterDeadline } from "../lifetime/after-deadline.ts";

/** A deadline that stands still while a person is being asked. */
export class PausableTimer {
  readonly #onExpired: () => void;
  #undo: () => void = () => {};
  #leftMs: number;
  #since = 0;
  #pauses = 0;
  #stopped: boolean;

  /** @param timeoutMs how long it runs; 0: it never expires */
  constructor(timeoutMs: number, onExpired: () => void) {
    this.#leftMs = timeoutMs;
    this.#onExpired = onExpired;
    this.#stopped = timeoutMs === 0;
    this.#run();
  }

  /** Stands still until `task` has settled. */
  async pausedDuring<T>(task: () => Promise<T> | T): Promise<T> {
    this.#pauses += 1;
    this.#undo();
    if (this.#pauses === 1) this.#leftMs -= performance.now() - this.#since;
    try {
      return await task();
    } finally {
      this.#pauses -= 1;
      this.#run();
    }
  }

  /** It never expires from now on. */
  stop(): void {
    this.#stopped = true;
    this.#undo();
  }

  #run(): void {
    if (this.#stopped || this.#pauses > 0) return;
    this.#since = performance.now();
    this.#undo = afterDeadline(Math.max(0, this.#leftMs), this.#onExpired);
  }
}
