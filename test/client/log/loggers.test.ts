import createDebug from "debug";
import { afterEach, describe, expect, test, vi } from "vitest";
import { consoleLogger } from "../../../src/client/log/console-logger.ts";
import { debugLogger } from "../../../src/client/log/debug-logger.ts";
import { guardedLogger } from "../../../src/client/log/guarded-logger.ts";
import { LOG_LEVELS, type Logger, nullLogger } from "../../../src/client/log/logger.ts";

afterEach(() => {
  vi.restoreAllMocks();
  createDebug.disable();
});

/** What is written to stderr from now on; anything on stdout is a failure. */
function stderr(): string[] {
  const lines: string[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation(() => expect.fail("It wrote to stdout."));
  vi.spyOn(console, "log").mockImplementation(() => expect.fail("It wrote to stdout."));
  vi.spyOn(process.stderr, "write").mockImplementation((text) => lines.push(String(text)) > 0);
  vi.spyOn(console, "error").mockImplementation((format, ...parts) => {
    expect(format).toBe("%s %s");
    lines.push(parts.join(" "));
  });
  return lines;
}

describe("consoleLogger", () => {
  test("writes hclog's text to stderr, with the time", () => {
    const lines = stderr();
    consoleLogger({ name: "host" }).named("kv").log("info", "100%s done", { foo: "bar", n: 12 });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(
      /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|[+-]\d{4}) \[INFO\] {2}host\.kv: 100%s done: foo=bar n=12$/,
    );
  });

  test.each(LOG_LEVELS)("of level %s writes that and what is more urgent", (level) => {
    const lines = stderr();
    const logger = consoleLogger({ level }).named("kv");
    for (const one of LOG_LEVELS) logger.log(one, "m");
    expect(lines.map((line) => line.split(" ")[1])).toEqual(
      LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)).map((one) => `[${one.toUpperCase()}]`),
    );
    expect(LOG_LEVELS.filter((one) => logger.isEnabled(one))).toEqual(LOG_LEVELS.slice(LOG_LEVELS.indexOf(level)));
  });

  test("writes what is at least `info` unless told otherwise", () => {
    expect(LOG_LEVELS.filter(consoleLogger().isEnabled)).toEqual(["info", "warn", "error"]);
  });
});

describe("debugLogger", () => {
  test("writes nothing unless its namespace is named", () => {
    const lines = stderr();
    debugLogger("some-host").log("error", "m");
    expect(debugLogger("some-host").isEnabled("error")).toBe(false);
    expect(lines).toEqual([]);
  });

  test("writes every level, in the text, in a namespace for each name", () => {
    const lines = stderr();
    createDebug.enable("some-host:kv");
    const logger = debugLogger("some-host").named("kv");
    expect(LOG_LEVELS.every(logger.isEnabled)).toBe(true);
    logger.log("trace", "100%s", { foo: "bar" });
    debugLogger("some-host").log("trace", "of another namespace");
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/some-host:kv.*\[TRACE\] 100%s: foo=bar/);
  });
});

test("nullLogger wants nothing", () => {
  expect(LOG_LEVELS.some(nullLogger.named("kv").isEnabled)).toBe(false);
  nullLogger.log("error", "m");
});

describe("a guarded logger", () => {
  const broken = (): never => {
    throw new Error("broken");
  };
  const quiet: Logger = { isEnabled: () => true, log: () => {}, named: () => quiet };

  test("asks whether a line is wanted", () => {
    const log = vi.fn();
    const logger = guardedLogger({ ...quiet, log, isEnabled: (level) => level === "warn" });
    logger.log("error", "no");
    logger.log("warn", "yes", { a: 1 });
    expect(log.mock.calls).toEqual([["warn", "yes", { a: 1 }]]);
  });

  test("throws nothing", async () => {
    guardedLogger({ ...quiet, log: broken }).log("info", "m");
    guardedLogger({ ...quiet, isEnabled: broken }).log("info", "m");
    guardedLogger({ ...quiet, named: broken })
      .named("kv")
      .log("info", "m");
    guardedLogger({ ...quiet, named: () => ({ ...quiet, log: broken }) })
      .named("kv")
      .log("info", "m");
    guardedLogger({} as Logger)
      .named("kv")
      .log("info", "m");
    // An unhandled rejection would fail the run.
    guardedLogger({ ...quiet, log: async () => broken() }).log("info", "m");
    await new Promise(setImmediate);
  });
});
