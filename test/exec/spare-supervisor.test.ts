import { describe, expect, test, vi } from "vitest";
import { eventually } from "../tools/eventually.ts";
import { settled } from "./fake-box.ts";
import { shells } from "./shells.ts";
import { FAMILY, GIVE_UP_MS, isAlive, MEMBERS, sh, Trial } from "./trial.ts";

// These tests mostly wait: for a lease, for an end.
vi.setConfig({ maxConcurrency: 20 });

/** Says what it was given, and stays. */
const TELLS = 'echo "<${TMOUT-none}> $(env | grep -c ^gps_)"; exec sleep 5000';

describe.concurrent.each(shells())("a supervisor that waits under $name", (shell) => {
  test("starts a plugin as any other does", async () => {
    await using trial = new Trial(shell, { command: sh(`${FAMILY} wait`), spec: { leaseMs: 60_000 } });
    await trial.wait();
    await dozing(trial);
    expect(trial.directories()).toEqual([]);
    await trial.start();
    const pids = await trial.pids(...MEMBERS);
    expect([trial.channels, trial.report.supervisorPid]).toEqual([1, trial.channel?.pid]);
    await trial.process.stop();
    expect(await trial.process.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect(pids.filter(isAlive)).toEqual([]);
  });

  test("is asked before it has begun to wait", async () => {
    await using trial = new Trial(shell, { command: sh("echo out; echo err >&2; exit 7"), spec: { leaseMs: 60_000 } });
    await trial.wait();
    await trial.start();
    expect(await trial.process.exited).toEqual({ code: 7, signal: null });
    expect([trial.channels, String(await trial.output.stdout), String(await trial.output.stderr)]).toEqual([
      1,
      "out\n",
      "err\n",
    ]);
  });

  test("ends without a heartbeat, and leaves nothing", async () => {
    await using trial = new Trial(shell, { command: sh(TELLS), spec: { leaseMs: 1_000 } });
    const spare = await trial.wait();
    expect(await spare.channel.exited).toEqual({ code: null, signal: "SIGTERM" });
    await settled();
    expect(spare.isReady).toBe(false);
    await trial.nothingLeft();
  });

  test.each([0, 60_000])(
    "ends with its input and when it is closed, and leaves nothing; lease: %d",
    async (leaseMs) => {
      for (const how of ["end", "close"]) {
        await using trial = new Trial(shell, { command: sh(TELLS), spec: { leaseMs } });
        const spare = await trial.wait();
        if (leaseMs > 0) await dozing(trial);
        if (how === "close") await spare.close();
        else spare.channel.stdin.end();
        expect(await spare.channel.exited).toEqual({ code: 99, signal: null });
        await trial.nothingLeft();
      }
    },
  );

  test("needs nobody to watch it where there is no lease", async () => {
    await using trial = new Trial(shell, { command: sh(TELLS) });
    await trial.wait();
    await trial.start();
    await trial.says(/^<none> 0\n/);
    expect(trial.channels).toBe(1);
  });

  test("and has gone unnoticed is replaced by a new one", async () => {
    await using trial = new Trial(shell, { command: sh("echo out; exit 7"), spec: { leaseMs: 10_000 } });
    await trial.wait();
    await dozing(trial);
    process.kill(trial.channel?.pid ?? 0, "SIGKILL");
    await trial.start();
    expect(await trial.process.exited).toEqual({ code: 7, signal: null });
    expect([trial.channels, String(await trial.output.stdout)]).toEqual([2, "out\n"]);
  });

  test("and cannot start the plugin says so as any other does", async () => {
    await using trial = new Trial(shell, { command: ["/no/such/program"], spec: { leaseMs: 60_000 } });
    await trial.wait();
    await expect(trial.start()).rejects.toMatchObject({ code: "plugin-not-started" });
    expect(trial.channels).toBe(1);
  });
});

/** Waits until the supervisor watches its lease. */
async function dozing(trial: Trial): Promise<void> {
  const look = () => trial.processes().some(({ command }) => /\bsleep \d+ $/.test(command));
  await eventually(look, { what: "a nap", timeoutMs: GIVE_UP_MS, state: () => trial.processes() });
}
