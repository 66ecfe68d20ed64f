import { describe, expect, test } from "vitest";
import { Clock, formatStep } from "../../src/demo/steps.ts";

describe("formatStep", () => {
  test("puts name, duration and text into columns", () => {
    expect(formatStep({ step: "call", ms: 4.6, text: "The plugin answered." })).toBe(
      "  call          5 ms  The plugin answered.",
    );
    expect(formatStep({ step: "handshake", ms: 12_345, text: "x" })).toBe("  handshake 12345 ms  x");
  });

  test("puts each line of the text below the first", () => {
    expect(formatStep({ step: "kill", ms: 0, text: "One.\nTwo.\nThree." }).split("\n")).toEqual([
      "  kill          0 ms  One.",
      "                      Two.",
      "                      Three.",
    ]);
  });

  test("breaks long lines between words, and never a word", () => {
    const text = "The plugin listens on /tmp/gp-0123456789/plugin123456789012345, in a directory.";
    expect(formatStep({ step: "exec", ms: 1, text }, 50).split("\n")).toEqual([
      "  exec          1 ms  The plugin listens on",
      "                      /tmp/gp-0123456789/plugin123456789012345,",
      "                      in a directory.",
    ]);
    expect(formatStep({ step: "exec", ms: 1, text }, 200).split("\n")).toHaveLength(1);
  });

  test("uses a line to its last column", () => {
    const lines = (columns: number) => formatStep({ step: "exec", ms: 1, text: "twelve chars" }, columns).split("\n");
    expect(lines(34)).toHaveLength(1);
    expect(lines(33)).toHaveLength(2);
  });
});

test("a clock measures from one lap to the next", () => {
  const clock = new Clock();
  const before = performance.now();
  const first = clock.lap();
  const second = clock.lap();
  const after = performance.now();
  expect(first).toBeGreaterThanOrEqual(0);
  expect(second).toBeGreaterThanOrEqual(0);
  expect(second).toBeLessThanOrEqual(after - before);
});
