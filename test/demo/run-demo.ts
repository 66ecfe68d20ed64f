import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { survivors } from "../../src/demo/embedded/survivors.ts";
import type { TestServer } from "../servers/server.ts";
import { type Ended, type Running, startNode } from "../tools/run-node.ts";
import type { UserHome } from "../tools/user-home.ts";

/** Every step of the story on a box that is there already. */
export const STORY = [
  "connect",
  "exec",
  "handshake",
  "dial",
  "translate",
  "call",
  "stream",
  "callback",
  "kill",
] as const;

/** Starts the built executable as somebody with that home does. */
export function startCli(dist: string, user: UserHome, args: readonly string[]): Running {
  return startNode([join(dist, "go-plugin-ssh.js"), ...args], { env: user.env, apart: true });
}

/** The words that a test server is reached with. */
export function to(server: TestServer): string[] {
  return ["demo", "--to", `ssh://${server.user}@${server.host}:${server.port}`, "--node", process.execPath];
}

/** What a run printed as lines of JSON. */
export function stepsOf({ stdout }: Pick<Ended, "stdout">): { step: string; ms: number; text: string }[] {
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/**
 * Everything that a run named is gone: its directories here and on the box, and what its own server started. What it did
 * not name must have been in its TMPDIR, which the home looks after.
 */
export function expectNothingLeft({ stdout }: Pick<Ended, "stdout">): void {
  const paths = stdout.match(/\/[\w./-]*\/(gp|gps)-[\w-]+/g) ?? [];
  expect(paths.filter((path) => existsSync(path))).toEqual([]);
  const port = Number(/ on 127\.0\.0\.1:(\d+)/.exec(stdout)?.[1] ?? 0);
  if (port > 0) expect(survivors({ port, groups: new Set() })).toEqual([]);
}

/** A message for people, not a crash: no stack trace, and the name of the program in front. */
export function expectMessage({ stderr }: Pick<Ended, "stderr">, text: RegExp): void {
  expect(stderr).toMatch(/^go-plugin-ssh: /);
  expect(stderr).toMatch(text);
  expect(stderr).not.toMatch(/^\s+at .*\d+:\d+\)?$/m);
}
