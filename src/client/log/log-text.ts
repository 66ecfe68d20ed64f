import { inspect } from "node:util";
import { harmless } from "../../lifetime/tail.ts";
import type { LogFields, LogLevel } from "./logger.ts";

/** How hclog marks a level: padded, so that what follows stands in a column. */
const MARKS: Readonly<Record<LogLevel, string>> = {
  trace: "[TRACE]",
  debug: "[DEBUG]",
  info: "[INFO] ",
  warn: "[WARN] ",
  error: "[ERROR]",
};

/**
 * One log entry as hclog's text form has it after the time: `[LEVEL] name: message: key=value`. Safe to print, whatever
 * the plugin wrote: control characters become visible, and what follows a line end inside of the entry is indented, so
 * that it cannot pass for an entry of its own.
 */
export function logText(level: LogLevel, name: string, message: string, fields: LogFields = {}): string {
  const said = [name, message].filter((part) => part !== "").map(printable);
  const pairs = Object.entries(fields).map(([key, value]) => pair(printable(key), valueText(value)));
  const rest = pairs.length > 0 ? `:${pairs.join("").replace(/\n $/, "")}` : "";
  return `${MARKS[level]} ${said.join(": ")}${rest}`;
}

/** ` key=value`, quoted where the value would not be clear without; a value of several lines gets lines of its own. */
function pair(key: string, value: string): string {
  if (value.includes("\n")) return `\n  ${key}=${printable(`\n${value.replace(/\n$/, "")}`)}\n `;
  // Lists and objects are JSON: what needs quotes has them.
  const clear = /^[[{]/.test(value) || (value !== "" && !/["\p{C}]/u.test(value));
  return ` ${key}=${clear ? printable(value) : `"${printable(value).replaceAll('"', '\\"').replaceAll("\t", "\\t")}"`}`;
}

/** Makes `text` harmless and indents its lines but the first. */
function printable(text: string): string {
  return harmless(text).replaceAll("\n", "\n  | ");
}

/** A value as text: strings as they are, errors by their message, everything else as JSON. */
function valueText(value: unknown): string {
  if (typeof value === "string") return value;
  try {
    if (value instanceof Error) return value.message;
    return JSON.stringify(value) ?? String(value);
  } catch {
    // What JSON cannot say, such as a circle or a bigint.
    return inspect(value, { depth: 4, compact: true, breakLength: Number.POSITIVE_INFINITY });
  }
}
