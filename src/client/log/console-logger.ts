import { logText } from "./log-text.ts";
import { formatLogTime } from "./log-time.ts";
import { LOG_LEVELS, type Logger, type LogLevel } from "./logger.ts";

/** Settings of {@link consoleLogger}. */
export interface ConsoleLoggerOptions {
  /** The least urgent level that is written. @default "info" */
  level?: LogLevel | undefined;
  /** The name in front of each message. @default "" */
  name?: string | undefined;
}

/**
 * Writes log lines to stderr with `console.error`, never to stdout, in hclog's text form:
 * `2006-01-02T15:04:05.000Z0700 [LEVEL] name: message: key=value`.
 */
export function consoleLogger({ level: least = "info", name = "" }: ConsoleLoggerOptions = {}): Logger {
  const isEnabled = (level: LogLevel) => LOG_LEVELS.indexOf(level) >= LOG_LEVELS.indexOf(least);
  return {
    isEnabled,
    log(level, message, fields) {
      if (!isEnabled(level)) return;
      // As an argument: a `%` in the text must not be taken for a place to fill in.
      console.error("%s %s", formatLogTime(new Date()), logText(level, name, message, fields));
    },
    named: (child) => consoleLogger({ level: least, name: name === "" ? child : `${name}.${child}` }),
  };
}
