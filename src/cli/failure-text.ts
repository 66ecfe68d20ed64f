import { wrap } from "../demo/wrap.ts";
import { PluginError, type PluginErrorCode } from "../index.ts";

/** What the library's hints do not say, because it is said in the words of the command line, or goes without saying. */
const HINTS: Partial<Record<PluginErrorCode, string>> = {
  "host-key-unknown": "On the command line that is `--accept-new`.",
  "auth-failed": "On the command line `-i <file>` names a key.",
  "connection-lost": "If a plugin runs there, the box ends it by itself.",
};

/** The failure that came first: tidying up after it may have failed as well, and a call wraps what ended it. */
export function firstFailure(failure: unknown): unknown {
  if (isSuppressed(failure)) return firstFailure(failure.suppressed);
  const isWrapper =
    failure instanceof Error && !(failure instanceof PluginError) && failure.cause instanceof PluginError;
  return isWrapper ? failure.cause : failure;
}

/** Everything that went wrong, in the order in which it happened, for a terminal. */
export function failureText(failure: unknown): string {
  if (isSuppressed(failure)) return `${failureText(failure.suppressed)}\nThen: ${failureText(failure.error)}`;
  const first = firstFailure(failure);
  const text = first instanceof Error ? first.message : String(first);
  const hint = first instanceof PluginError ? HINTS[first.code] : undefined;
  return hint ? `${text}\n${hint}` : text;
}

/** A message in lines that fit a terminal. Indented lines stay as they are: they are lists, or to be copied. */
export function fitted(text: string, columns: number): string {
  return text
    .split("\n")
    .flatMap((line) => (/^\s|^$/.test(line) ? [line] : wrap(line, columns)))
    .join("\n");
}

/** What `await using` throws when both the block and the tidying up failed. Node has no class for it before 24. */
export function isSuppressed(failure: unknown): failure is Error & { suppressed: unknown; error: unknown } {
  return failure instanceof Error && failure.name === "SuppressedError" && "suppressed" in failure;
}
