import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { hasTier } from "../tiers/tiers.ts";
import { shells } from "./shells.ts";

const SOURCES = fileURLToPath(new URL("../../src/", import.meta.url));
const files = readdirSync(SOURCES, { recursive: true, encoding: "utf8" });
const programs = files.filter((name) => name.endsWith(".sh"));

test("all shell programs are in one room, but for those that run on the host's side for its ssh", () => {
  expect(programs.filter((name) => !/^(exec|connect\/openssh)\/[a-z-]+\.sh$/.test(name))).toEqual([]);
  expect(programs.length).toBeGreaterThan(4);
});

describe.skipIf(!hasTier("shellcheck"))("shellcheck", () => {
  test.each(programs)("finds nothing in %s", (name) => {
    const { stdout, status } = spawnSync("shellcheck", ["-s", "sh", join(SOURCES, name)], { encoding: "utf8" });
    expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
  });

  test("finds nothing in the loader", async () => {
    const { LOADER } = await import("../../src/exec/loader.ts");
    // What it reads is evaluated, so what it leaves behind is used there.
    const options = ["-s", "sh", "-e", "SC2034,SC2154", "-"];
    const { stdout, status } = spawnSync("shellcheck", options, { input: `${LOADER}\n`, encoding: "utf8" });
    expect({ stdout, status }).toEqual({ stdout: "", status: 0 });
  });
});

describe.each(shells())("$name", ({ path }) => {
  test.each(programs)("can read %s", (name) => {
    const { stderr, status } = spawnSync(path, ["-n", join(SOURCES, name)], { encoding: "utf8" });
    expect({ stderr, status }).toEqual({ stderr: "", status: 0 });
  });
});

/** What only a text for a shell would hold: a program for `sh -c`, expansions, redirections. */
const SHELL_TEXT = [
  /\bsh -c\b/,
  /"-c",\s*["'`]/,
  /\beval "/,
  /\$\(\w+ /,
  /2>&1/,
  />\/dev\/null/,
  /\bexec "?\$/,
  /\bshell: true\b/,
];

/** It runs the user's own command by the user's own shell, as OpenSSH does, and makes no text for it. */
const USERS_OWN = "connect/way/proxy-command.ts";

test("no other room holds shell text", () => {
  const others = files.filter((name) => /\.[cm]?ts$/.test(name) && !name.startsWith("exec/") && name !== USERS_OWN);
  const found = others.flatMap((name) => {
    const lines = readFileSync(join(SOURCES, name), "utf8").split("\n");
    return lines
      .filter((line) => !/^\s*(\/?\*|\/\/)/.test(line) && SHELL_TEXT.some((pattern) => pattern.test(line)))
      .map((line) => `${name}: ${line.trim()}`);
  });
  expect(found).toEqual([]);
});
