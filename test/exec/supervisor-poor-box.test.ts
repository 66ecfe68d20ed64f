import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { shells, where } from "./shells.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { isAlive, procFile, sh, Trial } from "./trial.ts";

// These tests mostly wait: for a grace, for a lease, for an end.
vi.setConfig({ maxConcurrency: 20 });

/** All that we ever ask of a box. */
const TOOLS = ["awk", "cat", "grep", "mkdir", "ps", "rm", "setsid", "sleep", "tr", "uname"];

const directory = temporaryDirectory();

/** A PATH that holds the tools, but for some. */
function pathWithout(...missing: string[]): string {
  const path = join(directory, `no-${missing.join("-")}`);
  beforeAll(() => {
    mkdirSync(path);
    for (const tool of TOOLS.filter((one) => !missing.includes(one))) symlinkSync(where(tool), join(path, tool));
  });
  return path;
}

/** The plugin of these tests has all tools, whatever the box's session lacks. */
const environment = { PATH: process.env.PATH ?? "/usr/bin:/bin" };
const FAMILY = `
  sleep 5000 & echo child=$!
  (sleep 5001 & echo grandchild=$!; wait) &
  setsid sh -c 'echo session=$$; exec sleep 5002' &
`;

const boxes = {
  "nothing but the tools": pathWithout(),
  "no setsid": pathWithout("setsid"),
  "no uname": pathWithout("uname"),
  "no tr": pathWithout("tr"),
  "no ps and no awk": pathWithout("ps", "awk"),
  "a sleep that knows no tenths": pathWithout("sleep"),
};
beforeAll(() => {
  const script = `#!/bin/sh\ncase $1 in *.*) echo "invalid number '$1'" >&2; exit 1 ;; esac\nexec ${where("sleep")} "$1"\n`;
  writeFileSync(join(boxes["a sleep that knows no tenths"], "sleep"), script, { mode: 0o755 });
});

describe.concurrent.each(shells())("on a poor box under $name", (shell) => {
  test.each(Object.entries(boxes))("with %s, a plugin starts and ends with its family", async (name, path) => {
    await using trial = await Trial.start(shell, {
      command: sh(`${FAMILY} wait`),
      spec: { environment, leaseMs: 60_000 },
      session: { PATH: path },
    });
    const pids = await trial.pids("child", "grandchild", "session");
    const { pid, platform } = trial.report;
    expect(platform).toMatch(name === "no uname" || name === "no tr" ? /^unknown$/ : /^Linux\/\S+$/);
    const [, , , session] = procFile(pid, "stat")
      .replace(/^.*\) /, "")
      .split(" ");
    expect(Number(session)).toBe(name === "no setsid" ? trial.report.supervisorPid : pid);

    await trial.process.stop();
    expect(await trial.process.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect([pid, ...pids].filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
    expect(String(await trial.output.stderr)).toBe("");
  });

  test.each(Object.entries(boxes))("with %s, a deaf plugin is killed, and its deaf family", async (_, path) => {
    await using trial = await Trial.start(shell, {
      command: sh(`trap '' TERM; ${FAMILY} while :; do sleep 1; done`),
      spec: { environment, killGraceMs: 1_000 },
      session: { PATH: path },
    });
    const pids = await trial.pids("child", "grandchild", "session");
    trial.channel?.stdin.end();
    expect(await trial.process.exited).toEqual({ code: null, signal: "SIGKILL" });
    expect([trial.report.pid, ...pids].filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
  });

  test("with a sleep that knows no tenths, the plugin has its grace all the same", async () => {
    await using trial = await Trial.start(shell, {
      // It takes longer than a grace that passes without sleep, and far less than its own.
      command: sh("trap 'sleep 3; echo tidied; exit 3' TERM; echo ready; while :; do sleep 0.1; done"),
      spec: { environment, killGraceMs: 20_000 },
      session: { PATH: boxes["a sleep that knows no tenths"] },
    });
    await trial.says(/ready/);
    await trial.process.stop();
    expect(await trial.process.exited).toEqual({ code: 3, signal: null });
    expect(String(await trial.output.stdout)).toBe("ready\ntidied\n");
  });

  test("without setsid the lease still ends the plugin, and heartbeats do not", async () => {
    await using trial = await Trial.start(shell, {
      command: sh(`${FAMILY} wait`),
      // A busy machine takes a while until the family is there.
      spec: { environment, leaseMs: 10_000 },
      session: { PATH: boxes["no setsid"] },
    });
    const pids = await trial.pids("child", "grandchild", "session");
    trial.channel?.stdin.write("heartbeat\n");
    expect(await trial.process.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(pids.filter(isAlive)).toEqual([]);
  });
});
