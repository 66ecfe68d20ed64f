/** When to ask, and what to do. */
export interface KeepAliveOptions {
  /** 0: never ask. */
  intervalMs: number;
  timeoutMs: number;
  ask(): void;
  onSilence(): void;
}

/** Asks the other side from time to time whether it is there. Its timers keep no process alive. */
export class KeepAlive {
  readonly #options: KeepAliveOptions;
  readonly #interval: NodeJS.Timeout | undefined;
  #deadline: NodeJS.Timeout | undefined;
  #lastLook: NodeJS.Immediate | undefined;
  #hasHeard = true;

  constructor(options: KeepAliveOptions) {
    this.#options = options;
    if (options.intervalMs > 0) this.#interval = setInterval(() => this.#ask(), options.intervalMs).unref();
  }

  /** Something has come, whatever it is. */
  heard(): void {
    this.#hasHeard = true;
  }

  /** Nothing is asked any more. */
  stop(): void {
    clearInterval(this.#interval);
    this.#stopWaiting();
  }

  #ask(): void {
    // Who has not answered yet has the time that was set when it was asked.
    if (!this.#hasHeard) return;
    this.#stopWaiting();
    this.#hasHeard = false;
    this.#options.ask();
    this.#deadline = setTimeout(() => {
      // If this process was stopped or busy, what has come in the meantime is read after the timers.
      this.#lastLook = setImmediate(() => {
        if (!this.#hasHeard) this.#options.onSilence();
      });
    }, this.#options.timeoutMs).unref();
  }

  #stopWaiting(): void {
    clearTimeout(this.#deadline);
    clearImmediate(this.#lastLook);
  }
}
