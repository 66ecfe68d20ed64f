/** How urgent a line is, in hclog's words. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What else a line says; names do not begin with `@`. */
export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Where the shim's own lines go. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;
