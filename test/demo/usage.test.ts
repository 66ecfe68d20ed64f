import { describe, expect, test } from "vitest";
import packageFile from "../../package.json" with { type: "json" };
import { built } from "../tools/built.ts";
import type { Ended } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";
import { expectMessage, startCli } from "./run-demo.ts";

async function cli(...args: string[]): Promise<Ended> {
  using user = await openUserHome({ dist: built() });
  return startCli(built(), user, args).ended;
}

describe("go-plugin-ssh", () => {
  test("--version", async () => {
    expect(await cli("--version")).toMatchObject({ code: 0, stdout: `${packageFile.version}\n`, stderr: "" });
  });

  test.each([
    ["--help"],
    ["help"],
    ["demo", "--help"],
    ["help", "demo"],
    ["run", "--help"],
    ["shim", "--help"],
    ["help", "shim"],
    ["reattach", "--help"],
  ])("%s %s", async (...args) => {
    const { code, stdout, stderr } = await cli(...args.filter((word) => word !== undefined));
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(/^Usage: go-plugin-ssh /);
    const isWhole = args.every((word) => ["--help", "help", undefined].includes(word));
    expect(stdout).toContain(isWhole ? "Exit codes:" : "--accept-new");
    expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
  });

  test("shows its help, and fails, without a command", async () => {
    const { code, stdout, stderr } = await cli();
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(/^Usage: go-plugin-ssh /);
  });

  test.each([
    [["dmeo"], /unknown command 'dmeo'\n\(Did you mean demo\?\)\nTry `go-plugin-ssh --help`\.\n$/],
    [["--vresion"], /unknown option '--vresion'\n\(Did you mean --version\?\)\n/],
    [["demo", "--jsn"], /unknown option '--jsn'\n\(Did you mean --json\?\)\nTry `go-plugin-ssh demo --help`\.\n$/],
    [["run"], /missing required argument 'destination'/],
    [["demo", "box"], /too many arguments/],
    [["demo", "--to"], /argument missing/],
    [["demo", "--to", "a@b:22"], /\[bad-options\] A port needs the form ssh:\/\/user@host:port/],
    [["demo", "--to", ""], /\[bad-options\] "" is not a host name/],
    [["demo", "--to", "-oProxyCommand=x"], /\[bad-options\] .* is not a host name/],
    [["demo", "-i", "key"], /\[bad-options\] -i is of no use without --to\./],
    [["demo", "--accept-new"], /\[bad-options\] --accept-new is of no use without --to\./],
    [["demo", "--node", "node"], /\[bad-options\] --node is of no use without --to\./],
  ])("refuses %j", async (args, message) => {
    const ended = await cli(...args);
    expect(ended).toMatchObject({ code: 2, stdout: "" });
    expectMessage(ended, message);
  });

  test("never repeats a password", async () => {
    const ended = await cli("demo", "--to", "deploy:geheim@build-7");
    expect(ended.code).toBe(2);
    expect(ended.stdout + ended.stderr).not.toContain("geheim");
  });
});
