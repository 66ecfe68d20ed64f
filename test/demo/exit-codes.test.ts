import { describe, expect, test } from "vitest";
import { EXIT_CODES_HELP, exitCode } from "../../src/cli/exit-codes.ts";
import { failureText, firstFailure, fitted } from "../../src/cli/failure-text.ts";
import { PluginError, type PluginErrorCode } from "../../src/contract/errors.ts";
import { ERROR_CODES } from "../docs/source-facts.ts";

/** Every error code, so that a new one is a decision here too. */
const EXITS: Record<PluginErrorCode, number> = {
  "bad-options": 2,
  "config-error": 78,
  "connect-failed": 255,
  "box-refused": 255,
  "host-key-unknown": 255,
  "host-key-changed": 255,
  "host-key-revoked": 255,
  "auth-failed": 77,
  "connection-lost": 255,
  "plugin-not-started": 1,
  "handshake-failed": 76,
  "plugin-exited": 1,
  "checksum-mismatch": 1,
  "forward-forbidden": 1,
  "forward-failed": 1,
  "not-found": 1,
  "still-running": 1,
  timeout: 124,
  aborted: 130,
  closed: 1,
  unsupported: 1,
};

describe("exit codes", () => {
  test.each(Object.entries(EXITS))("%s: %i", (code, exit) => {
    expect(exitCode(new PluginError(code as PluginErrorCode, "x"))).toBe(exit);
  });

  test("cover the closed list", () => expect(Object.keys(EXITS)).toEqual(ERROR_CODES));

  test("are 1 for what is none of ours", () => {
    for (const failure of [new RangeError("x"), "x", undefined, null]) expect(exitCode(failure)).toBe(1);
  });

  test("are all in the help text, and no other", () => {
    const told = [...EXIT_CODES_HELP.matchAll(/^ {2}(\d+)/gm)].map(([, code]) => Number(code));
    expect(new Set(told)).toEqual(new Set([0, ...Object.values(EXITS)]));
  });

  test("are those of the failure that came first", () => {
    expect(exitCode(suppressed(new PluginError("auth-failed", "x"), new RangeError("y")))).toBe(77);
  });
});

describe("the text of a failure", () => {
  test("is its message, with the hint", () => {
    expect(failureText(new PluginError("timeout", "Too slow.", { hint: "Wait." }))).toBe("[timeout] Too slow.\nWait.");
    expect(failureText("oh")).toBe("oh");
    expect(failureText(undefined)).toBe("undefined");
  });

  test("speaks of the flags of the command line", () => {
    expect(failureText(new PluginError("host-key-unknown", "x"))).toContain("--accept-new");
    expect(failureText(new PluginError("auth-failed", "x"))).toContain("-i <file>");
  });

  test("is that of what ended a call, not of the call", () => {
    const cause = new PluginError("plugin-exited", "The plugin has ended.");
    const call = new Error("[unavailable] The call failed.", { cause });
    expect(firstFailure(call)).toBe(cause);
    expect(failureText(call)).toBe("[plugin-exited] The plugin has ended.");
    expect(exitCode(new Error("x", { cause: new PluginError("auth-failed", "y") }))).toBe(77);
    // Ours says enough by itself.
    const ours = new PluginError("timeout", "Too slow.", { cause });
    expect(firstFailure(ours)).toBe(ours);
  });

  test("fits a terminal, but for what is to be copied", () => {
    const text =
      "It did not work out here.\n\n  a line to be copied, as long as it is\nRun `ssh-keygen -l -f key` first.";
    expect(fitted(text, 20)).toBe(
      [
        "It did not work out",
        "here.",
        "",
        "  a line to be copied, as long as it is",
        "Run",
        "`ssh-keygen -l -f key`",
        "first.",
      ].join("\n"),
    );
    expect(fitted(text, 200)).toBe(text);
  });

  test("tells what went wrong while tidying up, too", () => {
    const failure = suppressed(suppressed("first", "second"), "third");
    expect(failureText(failure)).toBe("first\nThen: second\nThen: third");
    expect(firstFailure(failure)).toBe("first");
  });
});

/** What `await using` throws where the language has no class for it. */
function suppressed(first: unknown, then: unknown): Error {
  return Object.assign(new Error("An error was suppressed during disposal."), {
    name: "SuppressedError",
    suppressed: first,
    error: then,
  });
}
