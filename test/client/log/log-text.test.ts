import { describe, expect, test } from "vitest";
import { logText } from "../../../src/client/log/log-text.ts";

describe("an entry as text", () => {
  test.each([
    [logText("trace", "host.kv", "m"), "[TRACE] host.kv: m"],
    [logText("debug", "", "m"), "[DEBUG] m"],
    [logText("info", "kv", ""), "[INFO]  kv"],
    [logText("warn", "", "", {}), "[WARN]  "],
    [logText("error", "kv", "m", { foo: "bar", n: 12 }), "[ERROR] kv: m: foo=bar n=12"],
  ])("%#", (text, expected) => expect(text).toBe(expected));

  const circle: unknown[] = [];
  circle.push(circle);
  test.each<[unknown, string]>([
    ["two words", "k=two words"],
    ["", 'k=""'],
    ['say "hi"', 'k="say \\"hi\\""'],
    ["a\tb", 'k="a\\tb"'],
    ["\x1b[31m", 'k="\\x1b[31m"'],
    ["one\ntwo\n", "\n  k=\n  | one\n  | two"],
    [1.5, "k=1.5"],
    [null, "k=null"],
    [undefined, "k=undefined"],
    [["a", "b c"], 'k=["a","b c"]'],
    [{ a: { b: 1 } }, 'k={"a":{"b":1}}'],
    [new Error("broken"), "k=broken"],
    [10n, "k=10n"],
    [circle, "k=<ref *1> [ [Circular *1] ]"],
  ])("has the value %#", (k, expected) => {
    expect(logText("info", "", "m", { k })).toBe(`[INFO]  m:${expected.startsWith("\n") ? "" : " "}${expected}`);
  });

  test("goes on after a value of several lines", () => {
    expect(logText("info", "", "m", { a: 1, b: "x\ny", c: 2 })).toBe("[INFO]  m: a=1\n  b=\n  | x\n  | y\n  c=2");
  });

  test("cannot be two, nor reach the terminal", () => {
    const evil = "m\r\n2026-03-01T12:00:00.000Z [ERROR] host: forged\x1b[2J\u202e\x07";
    const text = logText("info", evil, evil, { [evil]: evil, ok: { [evil]: evil } });
    expect(
      text
        .split("\n")
        .slice(1)
        .every((line) => line.startsWith("  ")),
    ).toBe(true);
    expect(text).not.toMatch(/[\x00-\x09\x0b-\x1f\u202e]/);
  });
});
