import { readLogTime, ZERO_TIME } from "./log-time.ts";
import { LOG_LEVELS, type LogFields, type LogLevel } from "./logger.ts";

/** What a line of a plugin's log means. */
export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: LogFields;
}

/** Deeper values are left as text: not every logger can write them. Go draws this line at 10,000. */
const DEEPEST = 1_000;

/** Only such a line can be a JSON object or `null`, which Go takes for an empty object. */
const PERHAPS_OBJECT = /^[ \t\r]*(?:\{|null)/;

/**
 * Tells what the lines of one plugin's log mean, as go-plugin's host does (`client.go`, `log_entry.go`): lines of JSON
 * from hclog, lines with a level in front, and from a Go panic on everything else as an error.
 */
export class LogEntryReader {
  #panicking = false;

  /** What a whole `line`, without its end, means. */
  read(line: string): LogEntry {
    const object = PERHAPS_OBJECT.test(line) ? parseObject(line) : undefined;
    return (object && this.#fromObject(object, line)) ?? this.#fromText(line);
  }

  /** `undefined` for an object that says what hclog never would; go-plugin's host itself panics over some of these. */
  #fromObject(object: LogFields, line: string): LogEntry | undefined {
    const { "@message": message = "", "@level": level = "", "@timestamp": time, ...rest } = object;
    if (typeof message !== "string" || typeof level !== "string") return undefined;
    const timestamp = typeof time === "string" ? readLogTime(time) : undefined;
    if (time !== undefined && timestamp === undefined) return undefined;
    const known = LOG_LEVELS.find((one) => one === level.trim().toLowerCase());
    if (!known) return { level: "debug", message: line };
    // A field of the plugin's own gives way to a time, but not to the lack of one.
    const fields =
      timestamp === undefined && "timestamp" in rest ? rest : { ...rest, timestamp: timestamp ?? ZERO_TIME };
    return { level: known, message, fields };
  }

  /** The level in front of `line` decides; it stays in the message. */
  #fromText(line: string): LogEntry {
    const known = LOG_LEVELS.find((level) => line.startsWith(`[${level.toUpperCase()}]`));
    if (known) return { level: known, message: line };
    if (line.startsWith("panic: ") || line.startsWith("fatal error: ")) this.#panicking = true;
    return { level: this.#panicking ? "error" : "debug", message: line };
  }
}

/** The object that `line` is in JSON, an empty one for `null`; `undefined` if it is something else. */
function parseObject(line: string): LogFields | undefined {
  try {
    const value: unknown = JSON.parse(line) ?? {};
    return isPlain(value, DEEPEST) ? (value as LogFields) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a value is no deeper than `depth`, and none of its numbers were too large to be read. */
function isPlain(value: unknown, depth: number): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  return depth > 0 && Object.values(value).every((item) => isPlain(item, depth - 1));
}
