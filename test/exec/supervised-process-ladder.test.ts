import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { settled, started, watched } from "./fake-box.ts";

const GRACE_MS = 5_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] }));
afterEach(() => {
  // Whatever was started must have let go of its timers.
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** Lets `ms` pass, and all that follows from it happen. */
async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms);
  await settled();
}

describe("heartbeats", () => {
  test("are sent at their interval, from the report to the end", async () => {
    const { channel } = await started({}, 1_000);
    expect(channel.written).toBe("");
    await pass(999);
    expect(channel.written).toBe("");
    await pass(1);
    expect(channel.written).toBe("heartbeat\n");
    await pass(3_000);
    expect(channel.written).toBe("heartbeat\n".repeat(4));
    channel.exit(0);
    await settled();
    await pass(5_000);
    expect(channel.written).toBe("heartbeat\n".repeat(4));
  });

  test("stop with the connection", async () => {
    const { box, channel, process } = await started({}, 1_000);
    box.lost.abort(new RangeError("lost"));
    await expect(process.exited).rejects.toThrow("lost");
    await pass(5_000);
    expect(channel.written).toBe("");
  });

  test("are not sent into an input that has ended", async () => {
    const { channel } = await started({}, 1_000);
    channel.stdin.end();
    await pass(3_000);
    expect(channel.written).toBe("");
    channel.exit(0);
    await settled();
  });
});

describe("the ladder", () => {
  test("ends at the stop line when the supervisor ends, and does it once", async () => {
    const { box, channel, process } = await started({ killGraceMs: GRACE_MS });
    const stopping = process.stop();
    expect(process.stop()).toBe(stopping);
    const state = watched(stopping);
    await settled();
    expect([channel.written, channel.acts, state.is]).toEqual(["stop\n", [], "pending"]);
    await pass(GRACE_MS);
    channel.exit(143);
    await stopping;
    expect(await process.exited).toEqual({ code: null, signal: "SIGTERM" });
    expect([channel.written, channel.acts, box.channels.length]).toEqual(["stop\n", [], 1]);
    await process.stop();
  });

  test("takes the output that nobody reads off a server that tells of the end only after it", async () => {
    const { channel, process, stdout } = await started({ killGraceMs: GRACE_MS });
    for (let chunk = 0; chunk < 4; chunk += 1) channel.stdout.write(Buffer.alloc(64 * 1024));
    channel.stdout.end();
    channel.stdout.once("end", () => channel.exit(143));
    const state = watched(process.stop());
    await settled();
    await pass(GRACE_MS + 2_999);
    expect([state.is, channel.stdout.readableEnded]).toEqual(["pending", false]);
    await pass(1);
    await settled();
    expect([state.is, channel.stdout.readableEnded, channel.acts]).toEqual(["resolved", true, ["end"]]);
    expect(stdout.writableEnded).toBe(true);
  });

  test("goes up rung by rung, each with its patience, to the process itself", async () => {
    const { box, channel, process } = await started({ killGraceMs: GRACE_MS });
    const state = watched(process.stop());
    await settled();
    await pass(GRACE_MS + 2_999);
    expect([channel.written, channel.acts]).toEqual(["stop\n", []]);
    await pass(1);
    expect(channel.acts).toEqual(["end"]);
    await pass(2_999);
    expect(channel.acts).toEqual(["end"]);
    await pass(1);
    expect(channel.acts).toEqual(["end", "signal TERM"]);
    await pass(GRACE_MS + 2_999);
    expect(box.channels.length).toBe(1);
    await pass(1);
    expect([box.channels.length, state.is]).toEqual([2, "pending"]);

    const last = box.channel(1);
    for (const line of ["gps_pid=123", "gps_start=456", "gps_supervisor=122", "gps_dir=/tmp/gp-0123456789"]) {
      expect(last.written).toContain(`${line}\n`);
    }
    last.stdout.write(`${last.mark} state=gone\n`);
    last.exit(0);
    await settled();
    expect(state.is).toBe("resolved");
    expect(channel.acts).toEqual(["end", "signal TERM", "close"]);
    channel.exit();
    await settled();
  });

  test.each([1, 2])("ends at rung %i above the stop line when the supervisor ends there", async (rung) => {
    const { box, channel, process } = await started({ killGraceMs: GRACE_MS });
    const state = watched(process.stop());
    await settled();
    await pass(GRACE_MS + 3_000);
    if (rung === 2) await pass(3_000);
    expect(channel.acts).toEqual(["end", "signal TERM"].slice(0, rung));
    channel.exit(137);
    await settled();
    expect([state.is, box.channels.length]).toEqual(["resolved", 1]);
  });

  test.each([
    ["alive", "still-running"],
    ["gone", "resolved"],
  ])("says what became of the process at the last rung: %s", async (said, outcome) => {
    const { box, channel, process } = await started({ killGraceMs: GRACE_MS });
    const state = watched(process.stop());
    await settled();
    for (const ms of [GRACE_MS + 3_000, 3_000, GRACE_MS + 3_000]) await pass(ms);
    const last = box.channel(1);
    last.stdout.write(`${last.mark} state=${said}\n`);
    last.exit(0);
    await settled();
    expect(state.is).toBe(outcome);
    channel.exit();
    await settled();
  });

  test("does not wait for ever for the last rung", async () => {
    const { channel, process } = await started({ killGraceMs: GRACE_MS });
    const state = watched(process.stop());
    await settled();
    for (const ms of [GRACE_MS + 3_000, 3_000, GRACE_MS + 3_000, 10_000]) await pass(ms);
    expect(state.is).toBe("timeout");
    channel.exit();
    await settled();
  });

  test("breaks off when the connection is lost, on whatever rung", async () => {
    for (const rungs of [0, 1, 2]) {
      const { box, channel, process } = await started({ killGraceMs: GRACE_MS });
      const state = watched(process.stop());
      await settled();
      for (const ms of [GRACE_MS + 3_000, 3_000].slice(0, rungs)) await pass(ms);
      box.lost.abort(new RangeError("lost"));
      await settled();
      expect([rungs, state.is]).toEqual([rungs, "connection-lost"]);
      channel.exit();
    }
  });

  test("is not needed after the end; it waits until the session is free, but not long", async () => {
    const { channel, process } = await started({ killGraceMs: GRACE_MS });
    channel.exitWithoutClose(0);
    await process.exited;
    const state = watched(process.stop());
    await settled();
    expect([channel.written, channel.acts, state.is]).toEqual(["", [], "pending"]);
    await pass(1_000);
    expect(state.is).toBe("resolved");
    channel.freeUp();
  });
});
