import { matchesHash } from "./hashed-host.ts";
import { decodeHostKey, keyTypeOf } from "./host-key.ts";
import { matchesPatterns } from "./host-pattern.ts";

/** What stands in front of a line's host names: nothing, `@revoked` or `@cert-authority`. */
export type Marker = "none" | "revoked" | "cert-authority";

/** What one line of a known_hosts file says about one host. */
export type KnownHostsLine =
  | { readonly is: "nothing" }
  | { readonly is: "broken"; readonly why: string }
  | { readonly is: "key"; readonly marker: Marker; readonly type: string; readonly key: Buffer };

const MARKERS: Record<string, Marker> = { "@revoked": "revoked", "@cert-authority": "cert-authority" };
const NOTHING = { is: "nothing" } as const;

/**
 * Reads one line as OpenSSH's `hostkeys_foreach` does: a line about other hosts is not looked at any further, so its
 * key may be broken without notice.
 *
 * @param line without its line end
 * @param name the host's name as it is looked up, in lower case
 */
export function readKnownHostsLine(line: string, name: string): KnownHostsLine {
  const text = skipBlanks(untilNul(line));
  if (text === "" || text.startsWith("#")) return NOTHING;
  const marked = takeMarker(text);
  if (marked === undefined) return broken("an unknown marker");

  const [hosts, afterHosts] = takeWord(marked.rest);
  const meant = hosts.startsWith("|") ? matchesHash(name, hosts) : matchesPatterns(name, hosts);
  if (meant === undefined) return broken("a hashed host name that cannot be read");
  if (!meant) return NOTHING;

  const [type, afterType] = takeWord(afterHosts);
  if (type === "" || type.startsWith("#")) return broken("no key");
  const key = decodeHostKey(type, takeWord(afterType)[0]);
  return key ? { is: "key", marker: marked.marker, type: keyTypeOf(type), key } : broken("a key that cannot be read");
}

function broken(why: string): KnownHostsLine {
  return { is: "broken", why };
}

/** C strings end there, and OpenSSH reads lines as such. */
function untilNul(line: string): string {
  const end = line.indexOf("\0");
  return end < 0 ? line : line.slice(0, end);
}

/** The marker in front and what follows it; `undefined` for one that OpenSSH would not read. */
function takeMarker(text: string): { marker: Marker; rest: string } | undefined {
  if (!text.startsWith("@")) return { marker: "none", rest: text };
  // OpenSSH looks for a space first, wherever it is: a tab ends the marker only in a line without any space.
  const space = text.indexOf(" ");
  const end = space < 0 ? text.indexOf("\t") : space;
  if (end < 0) return undefined;
  const word = text.slice(0, end);
  const marker = Object.hasOwn(MARKERS, word) ? MARKERS[word] : undefined;
  const rest = skipBlanks(text.slice(end));
  return marker === undefined || rest.startsWith("@") ? undefined : { marker, rest };
}

/** The text up to a blank, and what comes after the blanks. */
function takeWord(text: string): [word: string, rest: string] {
  const [word = ""] = /^[^ \t]*/.exec(text) ?? [];
  return [word, skipBlanks(text.slice(word.length))];
}

function skipBlanks(text: string): string {
  return text.replace(/^[ \t]+/, "");
}
