import { setImmediate as turn } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { PausableTimer } from "../../src/connect/pausable-timer.ts";
import { later } from "../../src/lifetime/later.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] }));
afterEach(() => void vi.useRealTimers());

test("expires once, when its time is over", async () => {
  const onExpired = vi.fn();
  new PausableTimer(100, onExpired);
  vi.advanceTimersByTime(99);
  await turn();
  expect(onExpired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  await turn();
  expect(onExpired).toHaveBeenCalledTimes(1);
});

test("stands still during a task, and goes on with what was left", async () => {
  const onExpired = vi.fn();
  const timer = new PausableTimer(100, onExpired);
  vi.advanceTimersByTime(60);
  const task = later<string>();
  const result = timer.pausedDuring(() => task.promise);
  vi.advanceTimersByTime(10_000);
  await turn();
  expect(onExpired).not.toHaveBeenCalled();
  task.resolve("done");
  expect(await result).toBe("done");
  vi.advanceTimersByTime(39);
  await turn();
  expect(onExpired).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  await turn();
  expect(onExpired).toHaveBeenCalledTimes(1);
});

test("goes on after a task that failed", async () => {
  const onExpired = vi.fn();
  const timer = new PausableTimer(100, onExpired);
  const failure = new RangeError("no");
  await expect(timer.pausedDuring(() => Promise.reject(failure))).rejects.toBe(failure);
  await expect(
    timer.pausedDuring(() => {
      throw failure;
    }),
  ).rejects.toBe(failure);
  vi.advanceTimersByTime(100);
  await turn();
  expect(onExpired).toHaveBeenCalledTimes(1);
});

test("stands still until the last of several tasks is done", async () => {
  const onExpired = vi.fn();
  const timer = new PausableTimer(100, onExpired);
  const [one, two] = [later<void>(), later<void>()];
  const both = [timer.pausedDuring(() => one.promise), timer.pausedDuring(() => two.promise)];
  one.resolve();
  await both[0];
  vi.advanceTimersByTime(10_000);
  await turn();
  expect(onExpired).not.toHaveBeenCalled();
  two.resolve();
  await both[1];
  vi.advanceTimersByTime(100);
  await turn();
  expect(onExpired).toHaveBeenCalledTimes(1);
});

test.each([
  ["stopped", 100],
  ["without a limit", 0],
])("never expires when %s, not after a task either", async (_what, timeoutMs) => {
  const onExpired = vi.fn();
  const timer = new PausableTimer(timeoutMs, onExpired);
  if (timeoutMs > 0) timer.stop();
  await timer.pausedDuring(() => {});
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(10_000);
  await turn();
  expect(onExpired).not.toHaveBeenCalled();
});
