import { posix } from "node:path";
import type { Readable, Writable } from "node:stream";
import { StringDecoder } from "node:string_decoder";
import { guardedLogger } from "./guarded-logger.ts";
import { LinePieces, type Piece } from "./line-pieces.ts";
import { type LogEntry, LogEntryReader } from "./log-entry.ts";
import { LOG_LEVELS, type Logger } from "./logger.ts";
import { Tap } from "./tap.ts";

/** What is read, and where it goes. */
export interface PluginLog {
  /** The plugin's stderr, which nobody else reads. */
  stderr: Readable;
  /** Gets one call for each line, if it wants lines of that level. */
  logger: Logger;
  /** The plugin's name or path; the last part of it names the logger of its lines. */
  name: string;
  /**
   * The longest line that is understood, in bytes with its end. A longer one is logged in pieces of at most this length,
   * as they are, with level `debug`. go-plugin's `PluginLogBufferSize`.
   * @default 65_536
   */
  bufferSize?: number | undefined;
  /** Gets the bytes of stderr, unchanged. It is never ended. */
  tap?: Writable | undefined;
  /** How long the tap may take nothing, in milliseconds, before it gets no more. @default 30_000 */
  tapTimeoutMs?: number | undefined;
  /** Ends the waiting for the tap: from then on everything is read without it. */
  signal?: AbortSignal | undefined;
}

const BUFFER_SIZE = 64 * 1024;
const TAP_TIMEOUT_MS = 30_000;

/**
 * Reads a plugin's log to its end, and resolves then. It never rejects, and nothing that a line, the logger or the tap
 * does makes it stop, because a plugin whose stderr nobody reads stands still.
 *
 * Lines mean what they mean to go-plugin's host (`client.go`, `logStderr`), with these differences: the tap gets the
 * bytes as they came, with every `\r`; characters are not cut in two by the pieces of a long line; and a JSON line whose
 * special keys are not strings, over which that host panics, is text.
 */
export async function readPluginLog(log: PluginLog): Promise<void> {
  const { stderr, name, tap, tapTimeoutMs = TAP_TIMEOUT_MS, signal } = log;
  const logger = guardedLogger(log.logger).named(posix.basename(name));
  const lines = new LoggedLines(logger, log.bufferSize ?? BUFFER_SIZE);
  // Reading hears the first failure only.
  stderr.on("error", () => {});
  const copy = tap && new Tap(tap);
  try {
    for await (const piece of stderr) {
      const chunk: Buffer = typeof piece === "string" ? Buffer.from(piece) : piece;
      const copied = copy?.write(chunk, tapTimeoutMs, signal);
      lines.push(chunk);
      await copied?.catch((failure: unknown) => logger.log("warn", "copying plugin stderr", { error: said(failure) }));
    }
    lines.end();
  } catch (failure) {
    lines.end();
    // Closed without a word is how a stream ends whose plugin was killed.
    if (stderr.errored) logger.log("error", "reading plugin stderr", { error: said(failure) });
  }
}

/** Logs what is in a stream of bytes. */
class LoggedLines {
  readonly #logger: Logger;
  readonly #pieces: LinePieces;
  readonly #entries = new LogEntryReader();
  readonly #decoder = new StringDecoder("utf8");

  constructor(logger: Logger, bufferSize: number) {
    this.#logger = logger;
    this.#pieces = new LinePieces(bufferSize);
  }

  /** Logs the lines that are complete with `chunk`. */
  push(chunk: Buffer): void {
    for (const piece of this.#pieces.push(chunk)) this.#log(piece);
  }

  /** Logs the last line, if it had no end. */
  end(): void {
    for (const piece of this.#pieces.end()) this.#log(piece);
  }

  #log({ bytes, unfinished, continued }: Piece): void {
    const text = this.#decoder.write(bytes) + (unfinished ? "" : this.#decoder.end());
    // For a logger that is off, the meaning need not be found. And a part of a line may look like anything.
    const off = !LOG_LEVELS.some((level) => this.#logger.isEnabled(level));
    const entry = off || unfinished || continued ? verbatim(text) : this.#entries.read(text);
    this.#logger.log(entry.level, entry.message, entry.fields);
  }
}

/** An entry for a text that is not understood. */
function verbatim(message: string): LogEntry {
  return { level: "debug", message };
}

/** What a failure says. */
function said(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
