import { Command } from "commander";
import { describe, expect, test } from "vitest";
import {
  addConnectionFlags,
  type ConnectionFlags,
  connectionFrom,
  type FlaggedConnection,
  givenConnectionFlags,
} from "../../src/cli/connection-flags.ts";
import { failureOf } from "../connect/failure-of.ts";

/** What a command line such as `run -p 22 box` asks for. */
function read(...args: string[]): FlaggedConnection {
  const command = addConnectionFlags(new Command("run")).argument("<destination>").exitOverride();
  command.parse(args, { from: "user" });
  return connectionFrom(command.args[0] as string, command.opts<ConnectionFlags>());
}

describe("the flags of ssh become options", () => {
  test.each<[line: string, expected: FlaggedConnection]>([
    ["box", { destination: { host: "box" }, options: {} }],
    ["ssh://ann@box:2222", { destination: { host: "box", port: 2222, user: "ann" }, options: {} }],
    ["-p 2200 -l bob ssh://ann@box:2222", { destination: { host: "box", port: 2200, user: "bob" }, options: {} }],
    ["box -p 2200", { destination: { host: "box", port: 2200 }, options: {} }],
    ["-i a -i b box", { destination: { host: "box" }, options: { identityFile: ["a", "b"] } }],
    [
      "-F none -J a,b@c:22 box",
      { destination: { host: "box" }, options: { configFile: "none", proxyJump: "a,b@c:22" } },
    ],
    [
      "-o Compression=yes -oUser=ann box",
      { destination: { host: "box" }, options: { sshOptions: ["Compression=yes", "User=ann"] } },
    ],
    ["-4 -C box", { destination: { host: "box" }, options: { addressFamily: "inet", compression: true } }],
    ["-6 box", { destination: { host: "box" }, options: { addressFamily: "inet6" } }],
    [
      "--accept-new --backend openssh box",
      { destination: { host: "box" }, options: { strictHostKeyChecking: "accept-new", backend: "openssh" } },
    ],
  ])("%s", (line, expected) => {
    expect(read(...line.split(" "))).toEqual(expected);
  });
});

describe("refused in the words of the command line", () => {
  test.each<[args: string[], says: string]>([
    [["-p", "0", "box"], '-p must be a port from 1 to 65535, not "0".'],
    [["-p", "ssh", "box"], '-p must be a port from 1 to 65535, not "ssh".'],
    [["-p", "65536", "box"], '-p must be a port from 1 to 65535, not "65536".'],
    [["-l", "", "box"], "-l must not be empty."],
    [["-i", "", "box"], "-i must not be empty."],
    [["-F", "", "box"], "-F must not be empty."],
    [["-4", "-6", "box"], "-4 and -6 exclude each other."],
    [["-o", "Compression", "box"], '-o takes a setting such as Compression=yes, and "Compression" is none.'],
    [["--backend", "putty", "box"], '--backend is auto, ssh2 or openssh, not "putty".'],
    [["a@b:22"], "A port needs the form ssh://user@host:port."],
  ])("%j", (args, says) => {
    expect(failureOf(() => read(...args))).toMatchObject({
      code: "bad-options",
      message: expect.stringContaining(says),
    });
  });

  test("a password, without repeating it", () => {
    const failure = failureOf(() => read("-l", "ann:xyzzy", "box"));
    expect(failure.code).toBe("bad-options");
    expect(failure.message).not.toContain("xyzzy");
  });
});

test("the flags that were given can be named", () => {
  expect(givenConnectionFlags({ identity: ["a"], 4: true, acceptNew: true })).toEqual(["-i", "-4", "--accept-new"]);
  expect(givenConnectionFlags({})).toEqual([]);
});
