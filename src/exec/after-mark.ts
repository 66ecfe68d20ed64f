import type { Readable, Writable } from "node:stream";
import { type Later, later } from "../lifetime/later.ts";
import { Tail } from "../lifetime/tail.ts";

/** A report is a few hundred bytes; far more is not a report. */
const LONGEST_REPORT = 16 * 1024;

/** What is known of a stream that carries foreign noise first, then our report, then the plugin's own output. */
export interface MarkedStream {
  /** The line that begins with the mark, without it; `undefined` if the stream ended without one. */
  readonly report: Promise<string | undefined>;
  /** The end of what came before the mark: rc files, banners, error messages of a shell. */
  readonly noise: Tail;
  /** The end of what the plugin itself has written. */
  readonly output: Tail;
  /** Resolves when the stream has ended and all of it was passed on; not before the reader has made room for it. */
  readonly passedOn: Promise<void>;
  /** Ends the plugin's stream now. What still comes is read and thrown away, so that nothing is held open for it. */
  cut(): void;
}

/**
 * Reads `source` for ever: what comes before the line with `mark` is noise, what comes after it goes to `plugin`
 * unchanged and with back-pressure. `plugin` ends when `source` does, in whatever way that ends; but not if there was
 * no such line and `ifMissing` is `"go on"`, because something else will write to it then. If `plugin` was
 * destroyed by its reader, the rest is read and thrown away, so that the sender never blocks.
 */
export function afterMark(
  source: Readable,
  mark: string,
  plugin: Writable,
  ifMissing: "end" | "go on" = "end",
): MarkedStream {
  const report = later<string | undefined>();
  const noise = new Tail();
  const output = new Tail();
  const search = new MarkSearch(mark, noise, report);
  const over = later<void>();

  const finish = () => {
    if (!search.done) search.end();
    if (!plugin.destroyed && (search.found || ifMissing === "end")) plugin.end();
    over.resolve();
  };
  const forward = (chunk: Buffer) => {
    if (chunk.length === 0 || !search.found) return;
    output.push(chunk);
    if (plugin.destroyed || plugin.writableEnded) return;
    if (!plugin.write(chunk)) source.pause();
  };
  source.on("data", (chunk: Buffer) => forward(search.done ? chunk : search.take(chunk)));
  source.on("end", finish);
  source.on("close", finish);
  source.on("error", finish);
  plugin.on("drain", () => source.resume());
  plugin.on("close", () => source.resume());
  plugin.on("error", () => source.resume());
  const cut = () => {
    finish();
    source.resume();
  };
  return { report: report.promise, noise, output, passedOn: over.promise, cut };
}

class MarkSearch {
  done = false;
  /** Whether the line with the mark has come. */
  found = false;
  readonly #mark: Buffer;
  readonly #noise: Tail;
  readonly #report: Later<string | undefined>;
  #pending = Buffer.alloc(0);

  constructor(mark: string, noise: Tail, report: Later<string | undefined>) {
    this.#mark = Buffer.from(mark);
    this.#noise = noise;
    this.#report = report;
  }

  /** Takes the next chunk; returns what already belongs to the plugin. */
  take(chunk: Buffer): Buffer {
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const at = this.#pending.indexOf(this.#mark);
    if (at === -1) {
      this.#drop(this.#pending.length - beginningOf(this.#mark, this.#pending));
      return this.#nothing();
    }
    this.#drop(at);
    const end = this.#pending.indexOf("\n");
    if (end === -1 && this.#pending.length < LONGEST_REPORT) return this.#nothing();
    const line = this.#pending.subarray(this.#mark.length, end === -1 ? undefined : end);
    const rest = end === -1 ? this.#nothing() : this.#pending.subarray(end + 1);
    this.done = true;
    this.found = true;
    this.#report.resolve(line.toString("utf8").trim());
    return rest;
  }

  /** The stream is over. */
  end(): void {
    this.#drop(this.#pending.length);
    this.done = true;
    this.#report.resolve(undefined);
  }

  #drop(length: number): void {
    if (length > 0) this.#noise.push(this.#pending.subarray(0, length));
    this.#pending = this.#pending.subarray(length);
  }

  #nothing(): Buffer {
    return Buffer.alloc(0);
  }
}

/** How many of the last bytes of `data` may be the beginning of `mark`. */
function beginningOf(mark: Buffer, data: Buffer): number {
  let length = Math.min(mark.length - 1, data.length);
  while (length > 0 && !data.subarray(data.length - length).equals(mark.subarray(0, length))) length -= 1;
  return length;
}
