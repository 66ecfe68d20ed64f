import type { Readable, Writable } from "node:stream";
import { within } from "../lifetime/deadline.ts";
import { hclogLine } from "./hclog.ts";
import type { Log } from "./log-words.ts";

const LINE_END = 10;

/**
 * The stderr that the host reads: the plugin's bytes, unchanged and as soon as they come, and lines of our own between
 * its lines, never inside of one. Whoever reads slowly slows the plugin down.
 */
export class HostStderr {
  readonly #out: Writable;
  readonly #onGone: () => void;
  /** Lines of ours that wait for the plugin to finish one of its own. */
  readonly #waiting: string[] = [];
  #midLine = false;
  #plugin: Readable | undefined;
  #onProgress: () => void = () => {};
  #gone = false;

  /** @param onGone called when nobody reads any more */
  constructor(out: Writable, onGone: () => void) {
    this.#out = out;
    this.#onGone = onGone;
    out.on("error", () => this.#lose());
    out.on("drain", () => this.#plugin?.resume());
  }

  /** Writes a line of ours. */
  readonly log: Log = (level, message, fields = {}) => {
    const line = hclogLine(level, message, fields, new Date());
    this.#waiting.push(line);
    this.#flush();
  };

  /** Passes on what the plugin writes, to its end. A failure is an end. */
  carry(plugin: Readable): void {
    this.#plugin = plugin;
    const end = () => {
      this.#plugin = undefined;
      this.#flush();
      this.#onProgress();
    };
    plugin.on("data", (chunk: Buffer) => this.#pass(chunk));
    plugin.on("error", end);
    plugin.on("end", end);
    plugin.on("close", end);
  }

  /**
   * Resolves when the plugin's stderr has ended and all was taken, or when nothing happened for `patienceMs`. Then
   * those of our lines that still wait are written in the middle of the plugin's.
   */
  async finish(patienceMs: number): Promise<void> {
    this.#flush();
    while (!this.#gone && (this.#plugin || this.#out.writableLength > 0)) {
      const more = new Promise<boolean>((resolve) => {
        this.#onProgress = () => resolve(true);
      });
      if (!(await within({ timeoutMs: patienceMs }, () => more).catch(() => false))) return this.#flush(true);
    }
  }

  #pass(chunk: Buffer): void {
    if (chunk.length === 0) return;
    const free = this.#waiting.length > 0 ? chunk.indexOf(LINE_END) + 1 : 0;
    if (free > 0) {
      this.#write(chunk.subarray(0, free));
      this.#writeWaiting();
    }
    const rest = chunk.subarray(free);
    if (rest.length > 0) this.#write(rest);
    this.#midLine = chunk.at(-1) !== LINE_END;
  }

  /** Our lines wait while the plugin is in the middle of one; if it writes no more, they begin one of their own. */
  #flush(isImpatient = false): void {
    if (this.#waiting.length === 0 || (this.#midLine && this.#plugin && !isImpatient)) return;
    if (this.#midLine) this.#write("\n");
    this.#midLine = false;
    this.#writeWaiting();
  }

  #writeWaiting(): void {
    for (const line of this.#waiting.splice(0)) this.#write(line);
  }

  #write(chunk: Buffer | string): void {
    if (this.#gone) return;
    const goesOn = this.#out.write(chunk, () => this.#onProgress());
    if (!goesOn) this.#plugin?.pause();
  }

  /** Nobody reads: what the plugin writes is thrown away, so that it need not stand still. */
  #lose(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#plugin?.resume();
    this.#onProgress();
    this.#onGone();
  }
}
