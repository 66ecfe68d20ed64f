import { describe, expect, test } from "vitest";
import { harmless, Tail } from "../../src/lifetime/tail.ts";
import fc from "../tools/property.ts";

function tail(limit: number | undefined, ...chunks: string[]): string {
  const kept = new Tail(limit);
  for (const chunk of chunks) kept.push(Buffer.from(chunk));
  return String(kept);
}

describe("a tail", () => {
  test.each<[number, string[], string]>([
    [5, [], ""],
    [5, [""], ""],
    [5, ["abcde"], "abcde"],
    [5, ["ab", "cde"], "abcde"],
    [5, ["abcdef"], "…bcdef"],
    [5, ["ab", "cd", "ef"], "…bcdef"],
    [5, ["a", "b", "c", "d", "e", "f", "g"], "…cdefg"],
    [5, ["abc", "0123456789"], "…56789"],
    [5, ["abc", "01234"], "…01234"],
    [5, ["abcdef", "g"], "…cdefg"],
    [5, ["abcde", ""], "abcde"],
  ])("of %i bytes keeps the end of %j", (limit, chunks, kept) => {
    expect(tail(limit, ...chunks)).toBe(kept);
  });

  test("keeps the end whatever the pieces", () => {
    const pieces = fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 40 }), { maxLength: 20 });
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 50 }), (chunks, limit) => {
        const whole = chunks.join("");
        expect(tail(limit, ...chunks)).toBe((whole.length > limit ? "…" : "") + whole.slice(-limit));
      }),
      { seed: 1 },
    );
  });

  test("keeps 4 KiB unless told otherwise", () => {
    expect(tail(undefined, "x".repeat(4_096))).toBe("x".repeat(4_096));
    expect(tail(undefined, "y", "x".repeat(4_096))).toBe(`…${"x".repeat(4_096)}`);
  });

  test("does not keep the memory that it was given", () => {
    const kept = new Tail(5);
    const chunk = Buffer.from("abc");
    kept.push(chunk);
    chunk.fill("x");
    expect(String(kept)).toBe("abc");
  });

  test("joins a character that came in two pieces, and is not upset by half of one", () => {
    const [first, rest] = [Buffer.from("é").subarray(0, 1), Buffer.from("é").subarray(1)];
    const kept = new Tail();
    kept.push(first);
    kept.push(rest);
    expect(String(kept)).toBe("é");
    expect(tail(1, "é")).toBe("…\ufffd");
  });

  test("is safe to print", () => {
    expect(tail(100, "\x1b]0;title\x07\x1b[2J")).toBe("\\x1b]0;title\\x07\\x1b[2J");
  });
});

describe("harmless", () => {
  test.each([
    ["plain text, é 日本 🦀\n\ttabbed\n", "plain text, é 日本 🦀\n\ttabbed\n"],
    ["a\r\nb\r\n", "a\nb\n"],
    ["progress 1%\rprogress 2%", "progress 1%\\x0dprogress 2%"],
    ["\x00\x08\x0b\x0c\x1b\x7f", "\\x00\\x08\\x0b\\x0c\\x1b\\x7f"],
    ["\x80\x9b31m\x9f", "\\x80\\x9b31m\\x9f"],
    ["\u2028\u2029", "\\x2028\\x2029"],
    ["\u202eevil\u202c \u2066\u2069", "\\x202eevil\\x202c \\x2066\\x2069"],
  ])("%j is shown as %j", (text, shown) => {
    expect(harmless(text)).toBe(shown);
  });
});
