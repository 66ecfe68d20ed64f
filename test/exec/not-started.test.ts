import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { PluginError } from "../../src/contract/errors.ts";
import type { LaunchSpec } from "../../src/exec/launch.ts";
import { shells } from "./shells.ts";
import { Trial } from "./trial.ts";

const NO_COMMAND = "there is no such command on the box";
const NOT_EXECUTABLE = "the file is there but may not be executed";
const DIRECTORY = "it is a directory, not a program";
const NOT_ENTERED = "the working directory cannot be entered";

/** [what, command, what is said of it, further options] */
const CASES: [string, string, string, Partial<LaunchSpec>?][] = [
  ["a word that is no command", "no-such-command", NO_COMMAND],
  ["a path that is not there", "/no/such/command", NO_COMMAND],
  ["a name that is not there, below the directory", "./no-such-command", NO_COMMAND],
  ["a dangling link", "./dangling", NO_COMMAND],
  ["a command that the PATH which is sent does not hold", "ls", NO_COMMAND, { environment: { PATH: "/nowhere" } }],
  ["a file without the right to be executed", "./plain", NOT_EXECUTABLE],
  ["a directory", "./directory", DIRECTORY],
  ["a directory by its absolute path", "/", DIRECTORY],
  ["a missing directory to run in", "true", NOT_ENTERED, { directory: "missing" }],
  ["a file to run in", "true", NOT_ENTERED, { directory: "plain" }],
  ["a missing directory with a name full of tricks", "true", NOT_ENTERED, { directory: "$(touch x)\n'`\"" }],
];

describe.concurrent.each(shells())("not started under $name", (shell) => {
  test.each(CASES)("%s", async (_, program, what, spec = {}) => {
    await using trial = new Trial(shell, { command: [program, "argument"], spec });
    mkdirSync(join(trial.base, "directory"));
    writeFileSync(join(trial.base, "plain"), "#!/bin/sh\necho no\n");
    chmodSync(join(trial.base, "plain"), 0o644);
    symlinkSync("/no/such/target", join(trial.base, "dangling"));
    await fails(trial, `[plugin-not-started] ${JSON.stringify(program)} was not started: ${what}.`);
  });

  test("for want of a private directory", async () => {
    // Nobody can be kept from /tmp here, so the box is one that cannot make directories at all.
    await using trial = new Trial(shell, { command: ["/bin/true"], session: { PATH: "/nowhere" } });
    const what = "no private directory could be made on the box";
    await fails(trial, `[plugin-not-started] "/bin/true" was not started: ${what}.`);
  });
});

/** Expects that the plugin does not start, with that error, that nothing came from it, and that whoever waits is told. */
async function fails(trial: Trial, message: string): Promise<void> {
  const failure: PluginError = await trial.start().then(
    () => expect.unreachable("it was started"),
    (reason) => reason,
  );
  expect(failure).toMatchObject({ name: "PluginError", code: "plugin-not-started" });
  expect(failure.message.split("\n")[0]).toBe(message);
  expect(failure.hint).not.toBe("");
  await expect(trial.process.exited).rejects.toBe(failure);
  expect(String(await trial.output.stdout)).toBe("");
  expect(String(await trial.output.stderr)).toBe("");
  await trial.process.stop();
  expect(trial.directories()).toEqual([]);
}
