import { PluginError } from "../contract/errors.ts";

/** Words that mean the same to a shell with and without quotes. */
const PLAIN_WORD = /^[\w@%+:,./-]+$/;

/**
 * Quotes one word for a POSIX shell. Inside single quotes nothing is special; a single quote itself leaves them, is
 * escaped, and returns.
 *
 * @throws {PluginError} `bad-options` for what no process can be given: a NUL, or half of a surrogate pair
 */
export function quote(word: string): string {
  checkText(word, "A command word");
  return PLAIN_WORD.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Refuses text that cannot reach a process unchanged; the text itself stays out of the message, it may be secret. */
export function checkText(text: string, what: string): void {
  if (text.includes("\0")) throw new PluginError("bad-options", `${what} must not contain a NUL byte.`);
  if (!text.isWellFormed()) {
    throw new PluginError("bad-options", `${what} must be valid Unicode; it holds half of a surrogate pair.`);
  }
}
