import { describe, expect, test } from "vitest";
import { atoi, parseBool } from "../../src/handshake/go-syntax.ts";
import fc from "../tools/property.ts";

// What Go 1.26 answers to each of these.
describe("atoi", () => {
  test.each([
    ["1", 1],
    ["+1", 1],
    ["-1", -1],
    ["01", 1],
    ["-0", 0],
    ["00000000000000000000000000000007", 7],
    ["9223372036854775807", Number(2n ** 63n - 1n)],
    ["-9223372036854775808", Number(-(2n ** 63n))],
  ])("%j is %d", (text, value) => {
    expect(atoi(text)).toBe(value);
  });

  test.each([
    ["", 'parsing "": invalid syntax'],
    ["+", 'parsing "+": invalid syntax'],
    ["--1", 'parsing "--1": invalid syntax'],
    ["1_0", 'parsing "1_0": invalid syntax'],
    ["0x1", 'parsing "0x1": invalid syntax'],
    ["1.0", 'parsing "1.0": invalid syntax'],
    [" 1", 'parsing " 1": invalid syntax'],
    ["1\n", 'parsing "1\\n": invalid syntax'],
    ["٣", 'parsing "٣": invalid syntax'],
    ['a"\u001b\\', 'parsing "a\\"\\x1b\\\\": invalid syntax'],
    ["9223372036854775808", 'parsing "9223372036854775808": value out of range'],
    ["-9223372036854775809", 'parsing "-9223372036854775809": value out of range'],
    ["99999999999999999999", 'parsing "99999999999999999999": value out of range'],
  ])("%j is an error", (text, error) => {
    expect(atoi(text)).toBe(`strconv.Atoi: ${error}`);
  });

  test("reads every integer that JavaScript can hold", () => {
    const reads = (value: number) => {
      expect(atoi(String(value))).toBe(value);
    };
    fc.assert(fc.property(fc.maxSafeInteger(), reads));
  });
});

test.each([
  [["1", "t", "T", "true", "TRUE", "True"], true],
  [["0", "f", "F", "false", "FALSE", "False"], false],
  [["", "yes", "tRUE", " true", "2", "toString", "__proto__"], undefined],
])("parseBool takes %j for %s", (texts, value) => {
  for (const text of texts) expect(parseBool(text)).toBe(value);
});
