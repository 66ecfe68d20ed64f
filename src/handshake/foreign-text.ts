import { harmless } from "../lifetime/tail.ts";

/** Enough to recognise a log line or the start of a stack trace; a line may be 64 KiB long. */
const LONGEST_QUOTE = 1024;

/** What the plugin wrote, fit to stand in an error message: harmless, and cut where it is very long. */
export function foreign(text: string): string {
  return harmless(text.length > LONGEST_QUOTE ? `${text.slice(0, LONGEST_QUOTE)}…` : text);
}

/** The same in double quotes, as Go's `%q` writes it. */
export function quoted(text: string): string {
  const escaped = foreign(text.replace(/["\\]/g, "\\$&"));
  return `"${escaped.replaceAll("\n", "\\n").replaceAll("\t", "\\t")}"`;
}
