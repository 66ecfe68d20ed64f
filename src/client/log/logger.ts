/** How urgent a log line is, least urgent first. */
export type LogLevel = "trace" | "debug" | "info" | "warn" | "error";

/** Every {@link LogLevel}, least urgent first. */
export const LOG_LEVELS: readonly LogLevel[] = ["trace", "debug", "info", "warn", "error"];

/** What else is known of a log line. Names and values may come from the plugin: any name, and any value of JSON. */
export type LogFields = Readonly<Record<string, unknown>>;

/**
 * Where log lines go: three methods of go-plugin's `hclog.Logger`, so that any logger can be wrapped in a few lines.
 *
 * ```ts
 * const wrap = (log: pino.Logger): Logger => ({
 *   isEnabled: (level) => log.isLevelEnabled(level),
 *   log: (level, message, fields) => log[level](fields, message),
 *   named: (name) => wrap(log.child({ name })),
 * });
 * ```
 */
export interface Logger {
  /** Whether lines of `level` are wanted. It is asked before each line, so it must be quick, and may change. */
  isEnabled(level: LogLevel): boolean;
  /**
   * Takes one line. Called only for levels that are wanted. The message may hold anything the plugin wrote, control
   * characters and line ends included. What it throws is ignored: a log must not end what it tells of.
   */
  log(level: LogLevel, message: string, fields?: LogFields): void;
  /** A logger whose lines carry `name` after the name of this one, as in `host.kv-plugin`. */
  named(name: string): Logger;
}

/** Wants nothing. */
export const nullLogger: Logger = {
  isEnabled: () => false,
  log: () => {},
  named: () => nullLogger,
};
