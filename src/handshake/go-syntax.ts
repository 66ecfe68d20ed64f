import { quoted } from "./foreign-text.ts";

/** Go's `int` has 64 bits wherever plugins run. */
const INT_MAX = 2n ** 63n - 1n;

/** What `strconv.ParseBool` of Go takes. */
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ...["1", "t", "T", "true", "TRUE", "True"].map((word) => [word, true] as const),
  ...["0", "f", "F", "false", "FALSE", "False"].map((word) => [word, false] as const),
]);

/**
 * Reads an integer as Go's `strconv.Atoi` does: decimal digits with an optional sign, leading zeros allowed, nothing
 * else. Gives the number, or the text of Go's error.
 */
export function atoi(text: string): number | string {
  const because = (reason: string) => `strconv.Atoi: parsing ${quoted(text)}: ${reason}`;
  if (!/^[+-]?\d+$/.test(text)) return because("invalid syntax");
  const digits = text.replace(/^[+-]/, "").replace(/^0+(?=\d)/, "");
  // The length goes first: 64 KiB of digits would take long to become a number.
  const size = digits.length > 19 ? INT_MAX * 2n : BigInt(digits);
  const value = text.startsWith("-") ? -size : size;
  return value > INT_MAX || value < -INT_MAX - 1n ? because("value out of range") : Number(value);
}

/** Reads a boolean as Go's `strconv.ParseBool` does; `undefined` for what is none. */
export function parseBool(text: string): boolean | undefined {
  return BOOLEANS.get(text);
}
