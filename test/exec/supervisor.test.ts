import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { shells } from "./shells.ts";
import { FAMILY, isAlive, MEMBERS, sh, Trial } from "./trial.ts";

// These tests mostly wait: for a grace, for a lease, for an end.
vi.setConfig({ maxConcurrency: 20 });

const TERM = { code: null, signal: "SIGTERM" };
const KILL = { code: null, signal: "SIGKILL" };

describe.concurrent.each(shells())("the supervisor under $name", (shell) => {
  test("ends the plugin and all its descendants on a stop line", async () => {
    await using trial = await Trial.start(shell, { command: sh(`${FAMILY} wait`) });
    const pids = await trial.pids(...MEMBERS);
    expect(pids.map(isAlive)).toEqual(pids.map(() => true));
    await trial.process.stop();
    expect(await trial.process.exited).toEqual(TERM);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
  });

  test("ends them all at the end of its input", async () => {
    await using trial = await Trial.start(shell, { command: sh(`${FAMILY} wait`) });
    const pids = await trial.pids(...MEMBERS);
    trial.channel?.stdin.end();
    expect(await trial.process.exited).toEqual(TERM);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
  });

  test("ends them all when it is told to end by a signal", async () => {
    await using trial = await Trial.start(shell, { command: sh(`${FAMILY} wait`) });
    const pids = await trial.pids(...MEMBERS);
    process.kill(trial.report.supervisorPid, "SIGTERM");
    expect(await trial.process.exited).toEqual(TERM);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
  });

  test("ends them all when its whole process group is told to end", async () => {
    await using trial = await Trial.start(shell, { command: sh(`${FAMILY} wait`), spec: { leaseMs: 60_000 } });
    const pids = await trial.pids(...MEMBERS);
    process.kill(-trial.report.supervisorPid, "SIGTERM");
    expect(await trial.process.exited).toEqual(TERM);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
  });

  test("ends what a plugin leaves behind that ends by itself", async () => {
    const script = `${FAMILY} until [ -e "$TMPDIR/enough" ]; do sleep 0.1; done; exit 7`;
    await using trial = await Trial.start(shell, { command: sh(script) });
    const pids = await trial.pids(...MEMBERS);
    writeFileSync(join(trial.report.directory, "enough"), "");
    expect(await trial.process.exited).toEqual({ code: 7, signal: null });
    expect(pids.filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
  });

  test("kills a family that ignores TERM, after the grace", async () => {
    const script = `trap '' TERM; ${FAMILY} while :; do sleep 1; done`;
    await using trial = await Trial.start(shell, { command: sh(script), spec: { killGraceMs: 1_000 } });
    const pids = await trial.pids(...MEMBERS);
    await trial.process.stop();
    expect(await trial.process.exited).toEqual(KILL);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("kills descendants that ignore TERM when the plugin itself has obeyed", async () => {
    const script = "(trap '' TERM; sh -c 'echo deaf=$$; while :; do sleep 1; done') & echo ready; wait";
    await using trial = await Trial.start(shell, { command: sh(script), spec: { killGraceMs: 1_000 } });
    const [deaf] = await trial.pids("deaf");
    await trial.process.stop();
    expect(await trial.process.exited).toEqual(TERM);
    expect(isAlive(deaf ?? 0)).toBe(false);
  });

  test("kills at once where there is no grace", async () => {
    const script = "trap '' TERM; echo ready; while :; do sleep 1; done";
    await using trial = await Trial.start(shell, { command: sh(script), spec: { killGraceMs: 0 } });
    await trial.says(/ready/);
    await trial.process.stop();
    expect(await trial.process.exited).toEqual(KILL);
  });

  test("gives the plugin the grace to end in its own way", async () => {
    const script = "trap 'sleep 0.5; echo tidied; exit 3' TERM; echo ready; while :; do sleep 0.1; done";
    await using trial = await Trial.start(shell, { command: sh(script), spec: { killGraceMs: 30_000 } });
    await trial.says(/ready/);
    await trial.process.stop();
    expect(await trial.process.exited).toEqual({ code: 3, signal: null });
    expect(String(await trial.output.stdout)).toBe("ready\ntidied\n");
  });

  test("kills what goes on making children", async () => {
    const script = "trap '' TERM; echo ready; while :; do (sleep 0.02; sleep 0.02) & sleep 0.01; done";
    await using trial = await Trial.start(shell, { command: sh(script), spec: { killGraceMs: 0 } });
    await trial.says(/ready/);
    await trial.process.stop();
    expect(await trial.process.exited).toEqual(KILL);
  });

  test("takes no notice of a line that it does not know", async () => {
    await using trial = await Trial.start(shell, { command: sh("echo ready; exec sleep 5000") });
    await trial.says(/ready/);
    trial.channel?.stdin.write("\nstop it\nSTOP\n$(kill -9 0)\nheartbeat\n");
    process.kill(trial.report.pid, "SIGUSR2");
    expect(await trial.process.exited).toEqual({ code: null, signal: "SIGUSR2" });
  });
});
