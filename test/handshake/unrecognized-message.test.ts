import { expect, test } from "vitest";
import { unrecognizedMessage } from "../../src/handshake/unrecognized-message.ts";

const FAILED_TO_READ = "\nFailed to read any lines from plugin's stdout";

test.each([
  ["a line alone", "hello", {}, "hello"],
  ["a line and a diagnosis", "hello", { diagnosis: "It is a shell script.\n" }, "hello\nIt is a shell script."],
  ["nothing", "", { ended: true }, FAILED_TO_READ],
  ["nothing and a diagnosis", "", { ended: true, diagnosis: "exit 0" }, `${FAILED_TO_READ}\nexit 0`],
  ["an empty diagnosis", "hello", { diagnosis: " \n" }, "hello"],
  ["escape sequences", "\u001b[2J", { diagnosis: "\u001b[0m" }, "\\x1b[2J\n\\x1b[0m"],
])("%s", (_, line, details, text) => {
  const error = unrecognizedMessage(line, details);
  expect(error.code).toBe("handshake-failed");
  expect(error.message).toBe(`[handshake-failed] Unrecognized remote plugin message: ${text}\n${error.hint}`);
});

test("the hint fits: look at stderr if nothing came, at what is printed if something did", () => {
  expect(unrecognizedMessage("", { ended: true }).hint).toContain("stderr");
  expect(unrecognizedMessage("hello").hint).toContain("may be printed before it");
});

test("the stream's failure is kept", () => {
  const cause = new Error("read failed");
  expect(unrecognizedMessage("", { ended: true, cause }).cause).toBe(cause);
});
