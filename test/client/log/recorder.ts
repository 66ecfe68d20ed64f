import { Readable } from "node:stream";
import { LOG_LEVELS, type LogFields, type Logger, type LogLevel } from "../../../src/client/log/logger.ts";
import { type PluginLog, readPluginLog } from "../../../src/client/log/read-plugin-log.ts";

/** A call of a logger. */
export interface Call {
  name: string;
  level: LogLevel;
  message: string;
  fields?: LogFields;
}

/** A logger that keeps every call, and is otherwise what a user would write. */
export class Recorder implements Logger {
  readonly calls: Call[];
  readonly #least: LogLevel;
  readonly #name: string;

  constructor(least: LogLevel = "trace", name = "host", calls: Call[] = []) {
    this.#least = least;
    this.#name = name;
    this.calls = calls;
  }

  isEnabled(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(this.#least);
  }

  log(level: LogLevel, message: string, fields?: LogFields): void {
    this.calls.push({ name: this.#name, level, message, ...(fields && { fields }) });
  }

  named(name: string): Logger {
    return new Recorder(this.#least, `${this.#name}.${name}`, this.calls);
  }

  /** Level and message of each call. */
  get said(): [LogLevel, string][] {
    return this.calls.map(({ level, message }) => [level, message]);
  }
}

/** Everything that is logged for a stderr of these pieces. */
export async function logged(
  pieces: string | Iterable<string | Buffer>,
  { least, ...options }: Partial<PluginLog> & { least?: LogLevel } = {},
): Promise<Recorder> {
  const logger = new Recorder(least);
  const chunks = typeof pieces === "string" ? [pieces] : pieces;
  const stderr = Readable.from(
    [...chunks].map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  );
  await readPluginLog({ stderr, logger, name: "plugin", ...options });
  return logger;
}
