import { describe, expect, test } from "vitest";
import { noReport, parseStartReport, saidInstead } from "../../src/exec/start-report.ts";
import { Tail } from "../../src/lifetime/tail.ts";

function tail(text: string): Tail {
  const said = new Tail();
  said.push(Buffer.from(text));
  return said;
}

describe("parseStartReport", () => {
  test("reads a report", () => {
    const report = "started pid=12 start=3456 supervisor=7 platform=Linux/x86_64 dir=/tmp/gp-0123456789";
    expect(parseStartReport(report, "/p")).toEqual({
      pid: 12,
      startTime: "3456",
      supervisorPid: 7,
      platform: "Linux/x86_64",
      directory: "/tmp/gp-0123456789",
    });
  });

  test("reads one from a box without /proc and without uname, and a directory with spaces", () => {
    const report = "started pid=12 start= supervisor=7 platform= dir=/my tmp/gp-0123456789";
    expect(parseStartReport(report, "/p")).toMatchObject({
      startTime: "",
      platform: "unknown",
      directory: "/my tmp/gp-0123456789",
    });
  });

  test.each([
    ["no-such-command", /there is no such command on the box/],
    ["not-executable", /may not be executed/],
    ["is-a-directory", /it is a directory/],
    ["no-such-directory", /the working directory cannot be entered/],
    ["no-private-directory tried everything", /no private directory could be made/],
  ])("tells of the failure %s, with a hint", (reason, what) => {
    const parse = () => parseStartReport(`failed reason=${reason}`, 'my "plugin"');
    expect(parse).toThrow(expect.objectContaining({ code: "plugin-not-started", hint: expect.stringMatching(/\w/) }));
    expect(parse).toThrow(what);
    expect(parse).toThrow('"my \\"plugin\\"" was not started');
  });

  test.each([
    "",
    "started",
    "started pid= start=1 supervisor=7 platform=x dir=/d",
    "started pid=1 start=1 supervisor=7 platform=x dir=",
    "failed",
    "failed reason=something-new",
    "failed reason=constructor",
  ])("quotes what it does not understand: %j", (report) => {
    expect(() => parseStartReport(report, "/p")).toThrow(
      expect.objectContaining({
        code: "plugin-not-started",
        message: expect.stringContaining(JSON.stringify(report)),
      }),
    );
  });
});

describe("noReport", () => {
  test("says how the shell ended and what it said", () => {
    const failure = noReport({ code: 1, signal: null }, [tail("This account is\nclosed.\n"), tail("\x1b[31mbye\n")]);
    expect(failure.code).toBe("plugin-not-started");
    expect(failure.message).toContain("ended with exit code 1 before it ran our program.\nIt said:\n");
    expect(failure.message).toContain("  This account is\n  closed.\n  \\x1b[31mbye");
    expect(failure.hint).toContain("ForceCommand");
  });

  test("says that the channel was closed", () => {
    expect(noReport(undefined, []).message).toContain("The box closed the channel before it ran our program.");
  });
});

test("saidInstead is empty where nothing was said", () => {
  expect(saidInstead([tail(""), tail(" \n")], { TOKEN: "s3cret word" })).toBe("");
  expect(saidInstead([], {})).toBe("");
});

test.each([
  "gps0123\nexport TOKEN='s3cret word'\nset -- /plugin\n",
  "% Unknown command: export TOKEN=",
  "…cret word'\nset -- /plugin\n",
  "export EMPTY=",
])("saidInstead does not quote what shows the environment: %j", (noise) => {
  const said = saidInstead([tail(""), tail(noise)], { TOKEN: "a long s3cret word", EMPTY: "", SHORT: "1" });
  expect(said).toContain("It sent back what it was given");
  expect(said).not.toContain("cret");
});

test("saidInstead quotes what has nothing to do with the environment", () => {
  const environment = { TOKEN: "s3cret word", EMPTY: "", SHORT: "1" };
  expect(saidInstead([tail("1 new message; TOKEN expired\n")], environment)).toBe(
    "\nIt said:\n  1 new message; TOKEN expired",
  );
});
