import { PluginError } from "../contract/errors.ts";

/** How urgent a line is, in hclog's words. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What else a line says; names do not begin with `@`. */
export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Where the shim's own lines go. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** What a failure says, and its code, which needs not be in front of the text then. */
export function told(failure: unknown): [message: string, fields: LogFields] {
  const text = failure instanceof Error ? failure.message : String(failure);
  if (!(failure instanceof PluginError)) return [text, {}];
  return [text.replace(`[${failure.code}] `, ""), { code: failure.code }];
}
