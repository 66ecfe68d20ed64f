import { expect, test } from "vitest";
import { foreign, quoted } from "../../src/handshake/foreign-text.ts";

test("foreign text cannot move the cursor", () => {
  expect(foreign("a\u001b[2Jb\u0000")).toBe("a\\x1b[2Jb\\x00");
});

test("foreign text is cut after a kilobyte, and says so", () => {
  expect(foreign("x".repeat(1024))).toBe("x".repeat(1024));
  expect(foreign("x".repeat(1025))).toBe(`${"x".repeat(1024)}…`);
});

test("quoted text stays within its quotes and on its line", () => {
  expect(quoted('a"b\\c\nd\te\u0007')).toBe('"a\\"b\\\\c\\nd\\te\\x07"');
});
