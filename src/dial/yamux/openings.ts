import { notAccepted } from "./yamux-errors.ts";
import type { YamuxStream } from "./yamux-stream.ts";

/** How our own streams are opened. */
export interface OpeningsOptions {
  /** How many may be unanswered. */
  limit: number;
  /** How long each may be, in milliseconds; 0: for ever. */
  timeoutMs: number;
}

/** Our own streams that the other side has not answered. No more of them are announced than it may have room for. */
export class Openings {
  readonly #options: OpeningsOptions;
  readonly #unanswered = new Map<YamuxStream, NodeJS.Timeout | undefined>();
  readonly #unannounced = new Set<YamuxStream>();

  constructor(options: OpeningsOptions) {
    this.#options = options;
  }

  /** `stream` is announced to the other side, or will be as soon as there is room. */
  add(stream: YamuxStream): void {
    if (this.#unanswered.size >= this.#options.limit) this.#unannounced.add(stream);
    else this.#announce(stream);
  }

  /** Whether `stream` is ours and the other side cannot know of it yet. */
  hides(stream: YamuxStream): boolean {
    return this.#unannounced.has(stream);
  }

  /** `stream` was answered, or is no more. */
  remove(stream: YamuxStream): void {
    this.#unannounced.delete(stream);
    if (!this.#unanswered.has(stream)) return;
    clearTimeout(this.#unanswered.get(stream));
    this.#unanswered.delete(stream);
    for (const next of this.#unannounced) {
      this.#unannounced.delete(next);
      this.#announce(next);
      return;
    }
  }

  /** Nothing is announced any more. */
  stop(): void {
    for (const timer of this.#unanswered.values()) clearTimeout(timer);
    this.#unanswered.clear();
    this.#unannounced.clear();
  }

  #announce(stream: YamuxStream): void {
    const { timeoutMs } = this.#options;
    const onTimeout = () => stream.destroy(notAccepted(timeoutMs));
    this.#unanswered.set(stream, timeoutMs > 0 ? setTimeout(onTimeout, timeoutMs).unref() : undefined);
    stream.announce();
  }
}
