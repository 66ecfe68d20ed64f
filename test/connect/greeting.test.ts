import { expect, test } from "vitest";
import { Greeting } from "../../src/connect/greeting.ts";

test.each<[what: string, chunks: string[], banner: boolean, said: string]>([
  ["a banner", ["SSH-2.0-x\r\n"], true, "SSH-2.0-x"],
  ["a banner in pieces", ["S", "SH", "-2.0"], true, "SSH-2.0"],
  ["a banner after other lines", ["Hello\r\nSSH-2.0-x\r\n"], true, "Hello\nSSH-2.0-x"],
  ["a banner after other lines, in pieces", ["Hello\r\nS", "SH-"], true, "Hello\nSSH-"],
  ["nothing", [], false, ""],
  ["other lines", ["Exceeded MaxStartups\r\n"], false, "Exceeded MaxStartups"],
  ["a banner that does not begin its line", ["no SSH-2.0"], false, "no SSH-2.0"],
  ["what a terminal would obey", ["\u001b[2Jx"], false, "\\x1b[2Jx"],
  ["a lot", ["x".repeat(500)], false, `${"x".repeat(200)}…`],
])("%s", (_what, chunks, banner, said) => {
  const greeting = new Greeting();
  expect(chunks.map((chunk) => greeting.push(Buffer.from(chunk))).at(-1) ?? false).toBe(banner);
  expect(String(greeting)).toBe(said);
});

test("what never ends is not kept", () => {
  const greeting = new Greeting();
  for (let count = 0; count < 100; count += 1) greeting.push(Buffer.alloc(64 * 1024, "x"));
  expect(greeting.push(Buffer.from("\nSSH-2.0-x\n"))).toBe(false);
});
