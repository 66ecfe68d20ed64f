import { PluginError, type PluginErrorCode } from "../contract/errors.ts";

/** How urgent a line is, in hclog's words. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** What else a line says; names do not begin with `@`. */
export type LogFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Where the shim's own lines go. */
export type Log = (level: LogLevel, message: string, fields?: LogFields) => void;

/** What the library's hints cannot say, because nobody can be asked here. */
const HINTS: Partial<Record<PluginErrorCode, string>> = {
  "host-key-unknown": "A shim cannot ask: log in once with `ssh`, or install the shim with `--accept-new`.",
  "auth-failed":
    "A shim cannot ask: load the key into an agent, or install the shim with `-i <file>` and a key without a passphrase.",
};

/** What a failure says, and its code, which needs not be in front of the text then. */
export function told(failure: unknown): [message: string, fields: LogFields] {
  const text = failure instanceof Error ? failure.message : String(failure);
  if (!(failure instanceof PluginError)) return [text, {}];
  const hint = HINTS[failure.code];
  return [text.replace(`[${failure.code}] `, "") + (hint ? `\n${hint}` : ""), { code: failure.code }];
}
