/** OpenSSH gives up on a whole list at a pattern of this length (`match_pattern_list`). */
const TOO_LONG = 1023;

/**
 * Whether `name` is meant by `patterns`, the comma-separated list at the start of a known_hosts line: at least one
 * pattern fits, and none with a `!` in front does. `*` is any text, `?` one character; capitals do not count.
 *
 * Same as OpenSSH's `match_hostname`.
 */
export function matchesPatterns(name: string, patterns: string): boolean {
  const wanted = lowerCase(name);
  let found = false;
  for (const item of patterns.split(",")) {
    const negated = item.startsWith("!");
    const pattern = lowerCase(negated ? item.slice(1) : item);
    if (pattern.length >= TOO_LONG) return false;
    if (!matchesPattern(wanted, pattern)) continue;
    if (negated) return false;
    found = true;
  }
  return found;
}

/** `text` with A to Z made small and all else as it was, as the C library does it for host names. */
export function lowerCase(text: string): string {
  return text.replace(/[A-Z]+/g, (capitals) => capitals.toLowerCase());
}

/** Whether `pattern`, with `*` and `?`, covers all of `text`. Only the last `*` is ever tried again, so no pattern takes long. */
export function matchesPattern(text: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  let star = -1;
  let swallowed = 0;
  while (at < text.length) {
    if (pattern[next] === "*") {
      star = next++;
      swallowed = at;
    } else if (pattern[next] === "?" || pattern[next] === text[at]) {
      next++;
      at++;
    } else if (star >= 0) {
      next = star + 1;
      at = ++swallowed;
    } else {
      return false;
    }
  }
  return /^\**$/.test(pattern.slice(next));
}
