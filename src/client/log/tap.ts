import type { Writable } from "node:stream";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { type Later, later } from "../../lifetime/later.ts";

/** The streams that are tapped into. One stream, such as `process.stderr`, may serve many plugins. */
const known = new WeakMap<Writable, Waiting>();

/** Who waits until a stream takes more. With one set of listeners, or Node would warn of a leak at the eleventh plugin. */
class Waiting {
  #ready: Later<void> = later();

  constructor(stream: Writable) {
    const release = () => {
      this.#ready.resolve();
      this.#ready = later();
    };
    for (const event of ["drain", "close", "error", "finish"]) stream.on(event, release);
  }

  /** Resolves when the stream takes more, or never will. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }
}

/**
 * A stream that gets a copy of what passes. It may be slow: then its reader waits. But it cannot do harm: if it fails,
 * ends or stands still, it gets no more. It is never ended.
 */
export class Tap {
  readonly #stream: Writable;
  readonly #waiting: Waiting;
  #givenUp = false;

  constructor(stream: Writable) {
    this.#stream = stream;
    this.#waiting = known.get(stream) ?? new Waiting(stream);
    known.set(stream, this.#waiting);
  }

  /**
   * Writes `chunk`, and resolves when the stream takes more, or gets no more.
   *
   * @param timeoutMs how long it may take
   * @param signal ends the waiting; the stream gets no more then
   * @throws {PluginError} `timeout`, or what the stream's `write` threw; the stream gets no more then
   */
  async write(chunk: Uint8Array, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    if (this.#givenUp || signal?.aborted || !this.#stream.writable) return;
    try {
      if (this.#stream.write(chunk) || !this.#stream.writableNeedDrain) return;
      await within({ timeoutMs, signal, onTimeout: () => stoodStill(timeoutMs) }, () => this.#waiting.ready);
    } catch (failure) {
      this.#givenUp = true;
      if (!signal?.aborted) throw failure;
    }
  }
}

/** The error for a stream that is not read. */
function stoodStill(timeoutMs: number): PluginError {
  return new PluginError("timeout", `The copy of the plugin's stderr was not taken within ${timeoutMs} ms.`, {
    hint: "It gets no more. Read the stream that is given as tap, or give none.",
  });
}
