import { describe, expect, test } from "vitest";
import { checkText, quote } from "../../src/exec/quote.ts";

describe("quote", () => {
  test.each([
    ["plain", "plain"],
    ["/usr/bin/a-b_c.d,e:f@g%h+i", "/usr/bin/a-b_c.d,e:f@g%h+i"],
    ["", "''"],
    ["a b", "'a b'"],
    ["~", "'~'"],
    ["a=b", "'a=b'"],
    ["*", "'*'"],
    ["#", "'#'"],
    ["$HOME", "'$HOME'"],
    ["it's", "'it'\\''s'"],
    ["''", "''\\'''\\'''"],
    ["a\nb\r\t", "'a\nb\r\t'"],
    ["\\", "'\\'"],
    ["é", "'é'"],
    ["🦀", "'🦀'"],
  ])("%j becomes %s", (word, text) => {
    expect(quote(word)).toBe(text);
  });

  test.each([
    ["a NUL", "secret\0"],
    ["the first half of a pair", "secret\ud83e"],
    ["the second half of a pair", "\udd80secret"],
  ])("refuses %s, without saying in what", (_, word) => {
    for (const check of [() => quote(word), () => checkText(word, "It")]) {
      expect(check).toThrow(expect.objectContaining({ code: "bad-options" }));
      expect(check).not.toThrow(/secret/);
    }
  });
});
