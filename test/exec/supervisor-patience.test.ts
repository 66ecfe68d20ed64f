import { describe, expect, test, vi } from "vitest";
import { shells, type TestShell } from "./shells.ts";
import { FAMILY, isAlive, MEMBERS, sh, Trial } from "./trial.ts";

// These tests mostly wait: for a grace, for a lease, for an end.
vi.setConfig({ maxConcurrency: 20 });

const TERM = { code: null, signal: "SIGTERM" };

describe.concurrent.each(shells())("the lease under $name", (shell) => {
  test("ends the plugin with its family when it has expired", async () => {
    // A busy machine takes a while until the family is there.
    await using trial = await Trial.start(shell, { command: sh(`${FAMILY} wait`), spec: { leaseMs: 10_000 } });
    const pids = await trial.pids(...MEMBERS);
    expect(await trial.process.exited).toEqual(TERM);
    expect(pids.filter(isAlive)).toEqual([]);
    expect(trial.directories()).toEqual([]);
  });

  test("lets the plugin live while heartbeats come, and ends it when they stop", async () => {
    const script = "n=0; while :; do n=$((n + 1)); echo tick $n; sleep 1; done";
    await using trial = await Trial.start(shell, { command: sh(script), spec: { leaseMs: 10_000 } });
    const beats = setInterval(() => trial.channel?.stdin.write("heartbeat\n"), 200);
    // Each tick takes more than a second, so this is more than a lease.
    await trial.says(/tick 13\n/);
    clearInterval(beats);
    expect(await trial.process.exited).toEqual(TERM);
  });

  test("is not cut short by a limit on reading that the session has set", async () => {
    const session = { TMOUT: "1" };
    const script = "echo TMOUT=$TMOUT; n=0; while [ $n -lt 25 ]; do n=$((n + 1)); sleep 0.1; done; exit 7";
    await using trial = await Trial.start(shell, { command: sh(script), session });
    expect(await trial.process.exited).toEqual({ code: 7, signal: null });
    expect(String(await trial.output.stdout)).toBe("TMOUT=1\n");
  });
});

describe.concurrent.each(shells())("a frozen supervisor under $name", (shell) => {
  test("does not keep the plugin alive: it is ended by its pid and start time", async () => {
    await Promise.all([
      stopped(shell, ({ report }) => process.kill(report.supervisorPid, "SIGSTOP")),
      stopped(shell, ({ report }) => process.kill(-report.supervisorPid, "SIGSTOP")),
    ]);
  });
});

/** Starts a plugin with a family, freezes its supervisor, and stops it: it is gone, and so is the supervisor. */
async function stopped(shell: TestShell, freeze: (trial: Trial) => unknown): Promise<void> {
  await using trial = await Trial.start(shell, {
    command: sh(`${FAMILY} wait`),
    spec: { killGraceMs: 0, leaseMs: 60_000 },
  });
  const pids = await trial.pids(...MEMBERS);
  freeze(trial);
  await trial.process.stop();
  expect([trial.report.pid, ...pids].filter(isAlive)).toEqual([]);
  // It goes on, finds its plugin gone, tells how it ended, and leaves.
  await expect(trial.process.exited).resolves.toMatchObject({ code: null });
  await trial.nothingLeft();
}
