import { describe, expect, test } from "vitest";
import { eventually } from "../tools/eventually.ts";
import { shells } from "./shells.ts";
import { GIVE_UP_MS, sh, Trial } from "./trial.ts";

const LEASE_MS = 10_000;

/** Says what it was given, and stays. */
const TELLS = 'echo "<${TMOUT-none}> $(env | grep -c ^gps_)"; exec sleep 5000';

// In a file of its own: where many tests look at all processes at once, heartbeats come late.
describe.concurrent.each(shells())("a supervisor that waits under $name", (shell) => {
  test("lives on heartbeats, past its lease and a limit of the session, and changes nothing for the plugin", async () => {
    await using trial = new Trial(shell, {
      command: sh(TELLS),
      spec: { leaseMs: LEASE_MS },
      heartbeatIntervalMs: 200,
      session: { TMOUT: "1" },
    });
    const began = performance.now();
    const spare = await trial.wait();
    await eventually(() => !spare.isReady || performance.now() - began > 1.5 * LEASE_MS, {
      what: "more than a lease to pass",
      timeoutMs: GIVE_UP_MS,
    });
    expect(spare.isReady).toBe(true);
    await trial.start();
    await trial.says(/^<1> 0\n/);
    expect(trial.channels).toBe(1);
  });
});
