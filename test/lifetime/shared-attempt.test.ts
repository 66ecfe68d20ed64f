import { describe, expect, test, vi } from "vitest";
import { later } from "../../src/lifetime/later.ts";
import { SharedAttempt } from "../../src/lifetime/shared-attempt.ts";

/** An attempt whose outcome the test decides. */
function attempt() {
  const outcome = later<string>();
  const task = vi.fn((_signal: AbortSignal) => outcome.promise);
  const late = vi.fn();
  return { outcome, task, late, shared: new SharedAttempt(task, late) };
}

describe("a shared attempt", () => {
  test("does not begin before somebody joins", () => {
    const { task, shared } = attempt();
    expect(task).not.toHaveBeenCalled();
    expect(shared.usable).toBe(true);
    expect(shared.result).toBeUndefined();
  });

  test("is made once, and all get what it gives, those who come later too", async () => {
    const { outcome, task, late, shared } = attempt();
    const early = [shared.join(), shared.join()];
    outcome.resolve("made");
    expect(await Promise.all(early)).toEqual(["made", "made"]);
    expect(await shared.join()).toBe("made");
    expect(task).toHaveBeenCalledTimes(1);
    expect(shared.result).toBe("made");
    expect(shared.usable).toBe(true);
    expect(task.mock.calls[0]?.[0].aborted).toBe(false);
    expect(late).not.toHaveBeenCalled();
  });

  test("tells its failure to all, and is of no use from the moment they hear it", async () => {
    const { outcome, shared } = attempt();
    const heard: boolean[] = [];
    const waiting = [1, 2, 3].map(() => shared.join().catch(() => heard.push(shared.usable)));
    outcome.reject(new RangeError("no"));
    await Promise.all(waiting);
    expect(heard).toEqual([false, false, false]);
  });

  test("is of no use as soon as its task has failed, before anybody has heard of it", async () => {
    const { outcome, shared } = attempt();
    const waiting = shared.join().catch(() => {});
    outcome.reject(new RangeError("no"));
    // This was tied to the task's promise after the attempt was, so it is called right after it.
    expect(await outcome.promise.catch(() => shared.usable)).toBe(false);
    await waiting;
  });

  test("one who leaves disturbs nobody", async () => {
    const { outcome, task, shared } = attempt();
    const giveUp = new AbortController();
    const one = shared.join(giveUp.signal);
    const other = shared.join();
    giveUp.abort();
    await expect(one).rejects.toMatchObject({ code: "aborted" });
    expect(task.mock.calls[0]?.[0].aborted).toBe(false);
    outcome.resolve("made");
    expect(await other).toBe("made");
  });

  test("the last one who leaves ends it, and what comes then is undone", async () => {
    const { outcome, task, late, shared } = attempt();
    const giveUps = [new AbortController(), new AbortController()];
    const waiting = giveUps.map(({ signal }) => shared.join(signal));
    for (const giveUp of giveUps) giveUp.abort();
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: "aborted" });
    expect(task.mock.calls[0]?.[0].aborted).toBe(true);
    expect(shared.usable).toBe(false);
    outcome.resolve("too late");
    await vi.waitFor(() => expect(late).toHaveBeenCalledWith("too late"));
    expect(shared.result).toBeUndefined();
  });

  test("one who leaves when it is done ends nothing", async () => {
    const { outcome, task, shared } = attempt();
    outcome.resolve("made");
    await shared.join();
    await expect(shared.join(AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
    expect(task.mock.calls[0]?.[0].aborted).toBe(false);
    expect(shared.usable).toBe(true);
  });

  test("one who gave up beforehand begins nothing", async () => {
    const { task, shared } = attempt();
    await expect(shared.join(AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
    expect(task).not.toHaveBeenCalled();
    expect(shared.usable).toBe(false);
  });
});
