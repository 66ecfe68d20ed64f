import { describe, expect, test } from "vitest";
import { LogEntryReader } from "../../../src/client/log/log-entry.ts";

const read = (line: string) => new LogEntryReader().read(line);
const year1 = { timestamp: "0001-01-01T00:00:00.000Z" };

describe("a line of JSON from hclog", () => {
  test("has a level, a message, a time, and fields", () => {
    const line =
      '{"@level":"warn","@message":"disk full","@module":"kv.disk","@caller":"a.go:1",' +
      '"@timestamp":"2026-03-01T12:34:56.123456+01:00","left":0,"of":{"size":[1,null]},"":true}';
    expect(read(line)).toEqual({
      level: "warn",
      message: "disk full",
      fields: {
        "@module": "kv.disk",
        "@caller": "a.go:1",
        left: 0,
        of: { size: [1, null] },
        "": true,
        timestamp: "2026-03-01T12:34:56.123+0100",
      },
    });
  });

  test.each(["trace", "debug", "info", "warn", "error"] as const)("of level %s, however it is written", (level) => {
    for (const written of [level, level.toUpperCase(), `\\t ${level} \\n`]) {
      expect(read(`{"@level":"${written}","@message":"m"}`)).toEqual({ level, message: "m", fields: year1 });
    }
  });

  test("without a message has an empty one", () => {
    expect(read(' {"@level":"info"} ')).toEqual({ level: "info", message: "", fields: year1 });
  });

  test("keeps a field called timestamp, unless it has a time", () => {
    expect(read('{"@level":"info","timestamp":7}').fields).toEqual({ timestamp: 7 });
    const both = '{"@level":"info","timestamp":7,"@timestamp":"2026-03-01T12:34:56.123456Z"}';
    expect(read(both).fields).toEqual({ timestamp: "2026-03-01T12:34:56.123Z" });
  });

  test("may name its fields like parts of every object", () => {
    const { fields = {} } = read('{"@level":"info","__proto__":{"bad":1},"constructor":2,"toString":3}');
    expect(Object.entries(fields).slice(0, 3)).toEqual([
      ["__proto__", { bad: 1 }],
      ["constructor", 2],
      ["toString", 3],
    ]);
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype);
    expect("bad" in fields).toBe(false);
  });
});

describe("a line that is not hclog's is logged as it is", () => {
  test.each([
    "",
    "hello",
    "null",
    "{}",
    '{"a":1}',
    '["HELLO"]',
    "12345",
    '"[WARN] in quotes"',
    '{"@message":"no level"}',
    '{"@level":"off","@message":"m"}',
    '{"@level":"fatal","@message":"m"}',
    '{"@level":"info","@message":42}',
    '{"@level":"info","@message":null}',
    '{"@level":["info"],"@message":"m"}',
    '{"@level":"info","@timestamp":1700000000}',
    '{"@level":"info","@timestamp":null}',
    '{"@level":"info","@timestamp":"yesterday"}',
    '{"@level":"info","n":1e999}',
    '{"@level":"info","n":[{"n":-1e999}]}',
    `{"@level":"info","deep":${"[".repeat(5_000)}${"]".repeat(5_000)}}`,
    '{"@level":"info","@message":"m"',
    '{"@level":"info"} {}',
    '\ufeff{"@level":"info"}',
    " [WARN] not in front",
    "[warn] small",
    "[FATAL] unknown",
    "[TRACE",
    "xpanic: ",
    "panic:",
  ])("with level debug: %.60s", (line) => expect(read(line)).toEqual({ level: "debug", message: line }));

  test.each(["trace", "debug", "info", "warn", "error"] as const)("with the level %s in front", (level) => {
    const line = `[${level.toUpperCase()}]no space needed`;
    expect(read(line)).toEqual({ level, message: line });
  });
});

describe.each(["panic: runtime error", "fatal error: all goroutines are asleep"])("from `%s` on", (first) => {
  test("what has no level is an error, and what has one keeps it", () => {
    const reader = new LogEntryReader();
    const levels = (line: string) => reader.read(line).level;
    expect(levels("before")).toBe("debug");
    expect(
      [first, "", "goroutine 1 [running]:", "\tmain.go:1", "[INFO] m", '{"@level":"warn"}', "[1]"].map(levels),
    ).toEqual(["error", "error", "error", "error", "info", "warn", "error"]);
    // An object without a level is not looked at for panic, in go-plugin.
    expect(["{}", "null", '{"@level":"x"}'].map(levels)).toEqual(["debug", "debug", "debug"]);
  });
});
