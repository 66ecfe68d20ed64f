import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { shells } from "./shells.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { sh, Trial } from "./trial.ts";

/** A group that we may give a directory to: any as root, otherwise our own. */
const gid = process.getuid?.() === 0 ? 54_321 : (process.getgid?.() ?? 0);

/** Holds a `chgrp` that is never allowed to do anything, as for a login that is not a member. */
const powerless = temporaryDirectory();
beforeAll(() => writeFileSync(join(powerless, "chgrp"), "#!/bin/sh\nexit 1\n", { mode: 0o755 }));

describe.concurrent.each(shells())("a group for the sockets under $name", (shell) => {
  test("has the private directory, which goes as any other does", async () => {
    const spec = { unixSocketGroup: String(gid), leaseMs: 60_000 };
    await using trial = await Trial.start(shell, { command: sh("exec sleep 5000"), spec });
    const { mode, gid: owner } = statSync(trial.report.directory);
    expect([(mode & 0o7777).toString(8), owner]).toEqual(["770", gid]);
    await trial.process.stop();
    expect(await trial.process.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(trial.directories()).toEqual([]);
  });

  test("cannot have the supervisor write anywhere else", async () => {
    const spec = { unixSocketGroup: String(gid) };
    await using trial = new Trial(shell, {
      command: sh(
        'for note in .told .over; do ln -s ../kept "$PLUGIN_UNIX_SOCKET_DIR/$note"; done; echo laid; sleep 5000',
      ),
      spec: { ...spec, killGraceMs: 1_000 },
    });
    const kept = join(trial.base, "kept");
    writeFileSync(kept, "mine");
    await trial.start();
    await trial.says(/laid/);
    await trial.process.stop();
    expect(readFileSync(kept, "utf8")).toBe("mine");
    expect(trial.directories()).toEqual([]);
  });

  test.each([
    ["that nobody knows", "gps-no-such.group", /failed to find gid from "gps-no-such\.group"/, /exist on the box/],
    ["that begins like another", "roo", /failed to find gid from "roo"/, /exist on the box/],
    ["that it may not have", "0", /did not let the group of `unixSocketGroup`/, /member/],
  ])("%s keeps the plugin from starting", async (_what, unixSocketGroup, message, hint) => {
    await using trial = new Trial(shell, {
      command: sh("echo started"),
      spec: { unixSocketGroup },
      session: { PATH: `${powerless}:${shell.searchPath}` },
    });
    const failure = await trial.start().catch((reason) => reason);
    expect(failure).toMatchObject({ code: "plugin-not-started", message: expect.stringMatching(message) });
    expect(failure.hint).toMatch(hint);
    expect(trial.directories()).toEqual([]);
    expect(String(await trial.output.stdout)).toBe("");
  });
});
