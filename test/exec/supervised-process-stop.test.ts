import { text } from "node:stream/consumers";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { later } from "../../src/lifetime/later.ts";
import { FakeBox, settled, started, watched } from "./fake-box.ts";

const LIMITS = { timeoutMs: 30_000 };
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

describe("a supervisor that was killed itself", () => {
  const KILLED = { code: null, signal: "SIGKILL" };

  test("cannot tidy up, so that is done before the end is told", async () => {
    const { box, channel, process } = await started({ killGraceMs: GRACE_MS });
    const exited = watched(process.exited);
    channel.exit(KILLED);
    await settled();
    expect([exited.is, box.channels.length]).toEqual(["pending", 2]);
    const stopped = watched(process.stop());
    await settled();
    expect([stopped.is, box.channels.length]).toEqual(["pending", 2]);
    const last = box.channel(1);
    expect(last.written).toContain("gps_pid=123\n");
    last.stdout.write(`${last.mark} state=gone\n`);
    last.exit(0);
    await settled();
    expect([exited.is, stopped.is, box.channels.length]).toEqual(["resolved", "resolved", 2]);
    expect(await process.exited).toEqual(KILLED);
  });

  test("and whose plugin survives that: whoever waits is told", async () => {
    const { box, channel, process } = await started({ killGraceMs: GRACE_MS });
    channel.exit(KILLED);
    await settled();
    const last = box.channel(1);
    last.stdout.write(`${last.mark} state=alive\n`);
    last.exit(0);
    await expect(process.exited).rejects.toMatchObject({ code: "still-running" });
    await expect(process.stop()).rejects.toMatchObject({ code: "still-running" });
  });
});

describe("a stop that comes early", () => {
  test("before the start: nothing will ever be started", async () => {
    const box = new FakeBox();
    const { process, stdout, stderr } = box.process();
    await process.stop();
    await expect(process.exited).rejects.toMatchObject({ code: "closed" });
    await expect(process.start(LIMITS)).rejects.toMatchObject({ code: "closed" });
    expect(box.requests).toEqual([]);
    expect([await text(stdout), await text(stderr)]).toEqual(["", ""]);
  });

  test("while the channel is opened: the start fails at once, and the channel gets nothing", async () => {
    const box = new FakeBox();
    const opened = later<void>();
    box.opening = opened.promise;
    const { process } = box.process();
    const starting = watched(process.start(LIMITS));
    await settled();
    await process.stop();
    expect(starting.is).toBe("closed");
    opened.resolve();
    await settled();
    expect([box.channel().written, box.channel().acts]).toEqual(["", ["end"]]);
  });

  test("before the report: the input ends, and it waits for the supervisor", async () => {
    const box = new FakeBox();
    const { process } = box.process({ killGraceMs: GRACE_MS });
    const starting = watched(process.start(LIMITS));
    await settled();
    const stopping = watched(process.stop());
    await settled();
    expect([starting.is, stopping.is, box.channel().acts]).toEqual(["closed", "pending", ["end"]]);
    expect(box.channel().written).not.toMatch(/\nstop\n/);
    box.channel().exit(99);
    await settled();
    expect(stopping.is).toBe("resolved");
    await expect(process.exited).rejects.toMatchObject({ code: "closed" });
  });

  test("before the report of a shell that never answers: the channel is closed in the end", async () => {
    const box = new FakeBox();
    const { process } = box.process({ killGraceMs: GRACE_MS });
    process.start(LIMITS).catch(() => {});
    await settled();
    const stopping = watched(process.stop());
    await settled();
    for (const ms of [3_000, GRACE_MS + 3_000]) await pass(ms);
    expect([stopping.is, box.channel().acts]).toEqual(["resolved", ["end", "signal TERM", "close"]]);
    expect(box.channels.length).toBe(1);
  });
});
