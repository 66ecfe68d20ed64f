import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { variablesToScrub } from "../../src/exec/environment.ts";
import { randomWord } from "../../src/exec/loader.ts";
import { eventually } from "../tools/eventually.ts";
import { shells } from "./shells.ts";
import { GIVE_UP_MS, openFiles, procFile, sh, Trial } from "./trial.ts";
import { watchProcesses } from "./watch-processes.ts";

// These tests mostly wait: for a grace, for a lease, for an end.
vi.setConfig({ maxConcurrency: 20 });

/** By number: the signals that a supervisor has to do with. */
const SIGNALS = { HUP: 1, KILL: 9, USR1: 10, PIPE: 13, TERM: 15, CHLD: 17 };

/** How many starts are watched for a secret, per shell. */
const WATCHED_STARTS = 4;

describe.concurrent.each(shells())("a plugin under $name", (shell) => {
  test("has nothing on its stdin, and no stream but its three", async () => {
    await using trial = await Trial.start(shell, {
      // It stays what it is: a program that is just being loaded has its libraries open.
      command: sh("cat; echo read; sleep 5000 & wait"),
      spec: { leaseMs: 60_000 },
    });
    await trial.says(/^read\n/);
    const { 0: stdin, 1: _stdout, 2: _stderr, ...others } = openFiles(trial.report.pid);
    expect(stdin).toBe("/dev/null");
    // Whatever the test's own parent left open is handed down to everyone.
    const inherited = Object.values(openFiles(process.ppid));
    expect(Object.values(others).filter((file) => !inherited.includes(file))).toEqual([]);
  });

  test.each([0, 60_000])("ignores no signal that it should hear (leaseMs %i)", async (leaseMs) => {
    await using trial = await Trial.start(shell, { command: sh("echo ready; exec sleep 5000"), spec: { leaseMs } });
    await trial.says(/ready/);
    await eventually(() => procFile(trial.report.pid, "cmdline").startsWith("sleep"), {
      what: "exec",
      timeoutMs: GIVE_UP_MS,
    });
    const status = procFile(trial.report.pid, "status");
    for (const set of ["SigIgn", "SigBlk"]) {
      const mask = BigInt(`0x${new RegExp(`^${set}:\\s*(\\w+)`, "m").exec(status)?.[1]}`);
      const names = Object.entries(SIGNALS).filter(([, number]) => mask & (1n << BigInt(number - 1)));
      expect({ set, names }).toEqual({ set, names: [] });
    }
  });

  test("is the process that was reported, leads a session of its own, and keeps the umask", async () => {
    const script = "echo pid=$$; echo umask=$(umask); exec sleep 5000";
    await using trial = await Trial.start(shell, { command: sh(script) });
    const { pid, startTime, supervisorPid, platform } = trial.report;
    expect(await trial.pids("pid")).toEqual([pid]);
    const [, umask = ""] = await trial.says(/umask=(\d+)\n/);
    expect(Number.parseInt(umask, 8)).toBe(process.umask());
    expect(platform).toMatch(/^Linux\/\S+$/);
    const stat = procFile(pid, "stat")
      .replace(/^.*\) /, "")
      .split(" ");
    expect([stat[1], stat[2], stat[3], stat[19]]).toEqual([`${supervisorPid}`, `${pid}`, `${pid}`, startTime]);
    expect(trial.channel?.pid).toBe(supervisorPid);
  });

  test("inherits nothing that the session has of another plugin, and what is sent goes before the session's", async () => {
    const inherited = {
      PLUGIN_MIN_PORT: "1",
      PLUGIN_MAX_PORT: "2",
      PLUGIN_PROTOCOL_VERSIONS: "3",
      PLUGIN_MULTIPLEX_GRPC: "true",
      PLUGIN_CLIENT_CERT: "cert",
      PLUGIN_UNIX_SOCKET_GROUP: "wheel",
      PLUGIN_UNIX_SOCKET_DIR: "/elsewhere",
    };
    const environment = { PLUGIN_MIN_PORT: "10000", MINE: "mine" };
    await using trial = await Trial.start(shell, {
      command: ["env"],
      spec: { environment, scrub: variablesToScrub(environment) },
      session: { ...inherited, MINE: "the session's", THEIRS: "theirs", gps_mark: "x", gps_dir: "/", gps_woken: "1" },
    });
    expect(await trial.process.exited).toEqual({ code: 0, signal: null });
    const got = String(await trial.output.stdout).split("\n");
    expect(got.filter((line) => line.startsWith("PLUGIN_")).sort()).toEqual([
      "PLUGIN_MIN_PORT=10000",
      `PLUGIN_UNIX_SOCKET_DIR=${trial.report.directory}`,
    ]);
    expect(got).toEqual(expect.arrayContaining(["MINE=mine", "THEIRS=theirs", `TMPDIR=${trial.report.directory}`]));
  });

  test("runs in the login directory unless told otherwise, whatever CDPATH says", async () => {
    for (const [directory, expected] of [
      [undefined, ""],
      ["sub", "/sub"],
      ["sub/../-", "/-"],
      ["-", "/-"],
    ] as const) {
      await using trial = new Trial(shell, {
        command: ["pwd", "-P"],
        spec: { directory, environment: { CDPATH: "/sys", OLD: "x" } },
        session: { CDPATH: "/usr:/etc", OLDPWD: "/etc" },
      });
      for (const name of ["sub", "-"]) mkdirSync(join(trial.base, name));
      await trial.start();
      expect(String(await trial.output.stdout)).toBe(`${trial.base}${expected}\n`);
    }
  });

  test("is found in the PATH that was sent with it", async () => {
    await using trial = await Trial.start(shell, {
      command: ["env"],
      spec: { environment: { PATH: "/nowhere:/usr/bin:/bin" } },
    });
    expect(await trial.process.exited).toEqual({ code: 0, signal: null });
    expect(trial.report.platform).toMatch(/^Linux\//);
    expect(String(await trial.output.stdout)).toContain("PATH=/nowhere:/usr/bin:/bin\n");
  });
});

describe.each(shells())("while a plugin starts under $name", (shell) => {
  test("its arguments show in its own command line alone, its environment nowhere but with it", async () => {
    const [argument, value] = [randomWord(), randomWord()];
    const watch = await watchProcesses([argument, value]);
    const pids = new Set<number>();
    for (let start = 0; start < WATCHED_STARTS; start += 1) {
      await using trial = await Trial.start(shell, {
        // A script that makes no child, which would look like it.
        command: ["/bin/sh", "-c", "echo ready; while :; do :; done", argument],
        spec: { environment: { TOKEN: value }, directory: "/" },
      });
      await trial.says(/ready/);
      pids.add(trial.report.pid);
      const before = watch.rounds();
      await eventually(() => watch.rounds() > before + 1, {
        what: "a look at the plugin itself",
        timeoutMs: GIVE_UP_MS,
      });
    }
    const sightings = await watch.stop();
    // The watch sees what there is to see, or this would prove nothing.
    expect(sightings.map(({ where, text }) => `${where} ${text}`)).toEqual(
      expect.arrayContaining([`cmdline ${argument}`, `environ ${value}`]),
    );
    const own = `/bin/sh -c echo ready; while :; do :; done ${argument}`;
    const others = sightings.filter(({ pid, where, text, command }) => {
      return !pids.has(pid) || (where === "cmdline" && (text !== argument || command !== own));
    });
    expect(others).toEqual([]);
  });
});
