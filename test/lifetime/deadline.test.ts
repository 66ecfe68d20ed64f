import { getEventListeners, once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { afterDeadline } from "../../src/lifetime/after-deadline.ts";
import { abortError, throwIfAborted, within } from "../../src/lifetime/deadline.ts";
import { later } from "../../src/lifetime/later.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] }));
afterEach(() => {
  // Whatever a wait has started must be over with it.
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

const never = () => new Promise<never>(() => {});

/** How many listen to a signal. */
function listeners(signal: AbortSignal): number {
  return getEventListeners(signal, "abort").length;
}

describe("within", () => {
  test("gives what the task gives, and lets go of everything", async () => {
    const [caller, other] = [new AbortController(), new AbortController()];
    const outcome = later<string>();
    let over: AbortSignal | undefined;
    const waiting = within({ signal: caller.signal, timeoutMs: 1_000, until: [other.signal] }, (signal) => {
      over = signal;
      return outcome.promise;
    });
    expect([listeners(caller.signal), listeners(other.signal), vi.getTimerCount()]).toEqual([1, 1, 1]);
    expect(over?.aborted).toBe(false);
    outcome.resolve("done");
    expect(await waiting).toBe("done");
    expect([listeners(caller.signal), listeners(other.signal), vi.getTimerCount()]).toEqual([0, 0, 0]);
    expect(over?.aborted).toBe(true);
  });

  test.each([
    ["rejects", () => Promise.reject(new RangeError("no"))],
    [
      "throws",
      () => {
        throw new RangeError("no");
      },
    ],
  ])("fails as a task does that %s, and lets go of everything", async (_, fail) => {
    const caller = new AbortController();
    let over: AbortSignal | undefined;
    const waiting = within({ signal: caller.signal, timeoutMs: 1_000 }, (signal): Promise<never> => {
      over = signal;
      return fail();
    });
    await expect(waiting).rejects.toThrow(new RangeError("no"));
    expect([listeners(caller.signal), vi.getTimerCount(), over?.aborted]).toEqual([0, 0, true]);
  });

  test("ends at the deadline, with the task's signal, whatever the task does", async () => {
    let over: AbortSignal | undefined;
    const waiting = within({ timeoutMs: 1_000 }, (signal) => {
      over = signal;
      return never();
    });
    const failure = waiting.catch((reason) => reason);
    vi.advanceTimersByTime(999);
    expect(over?.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(await failure).toMatchObject({ code: "timeout", message: "[timeout] Nothing came within 1000 ms." });
    expect(over?.aborted).toBe(true);
  });

  test("ends at the deadline with the error that the caller has for it", async () => {
    const error = new PluginError("connect-failed", "no banner");
    const waiting = within({ timeoutMs: 10, onTimeout: () => error }, never);
    const failure = waiting.catch((reason) => reason);
    vi.advanceTimersByTime(10);
    expect(await failure).toBe(error);
  });

  test("does not give up on what is there already, also if the process was held up past the deadline", async () => {
    vi.useRealTimers();
    const arrived = later<Socket>();
    const server = createServer((socket) => arrived.resolve(socket)).listen(0, "127.0.0.1");
    await once(server, "listening");
    const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
    const socket = await arrived.promise;
    try {
      const written = new Promise((resolve) => client.write("in time", resolve));
      const waiting = within({ timeoutMs: 20 }, () => once(socket, "data"));
      // It is in the kernel's hands now, and nobody reads until the deadline has passed.
      await written;
      const heldUpUntil = performance.now() + 100;
      while (performance.now() < heldUpUntil);
      expect(String(await waiting)).toBe("in time");
    } finally {
      for (const one of [socket, client]) one.destroy();
      server.close();
      vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    }
  });

  test("takes what comes in the turn that the deadline leaves, and says nothing of the deadline then", async () => {
    const onTimeout = vi.fn(() => new PluginError("timeout", "too late"));
    const outcome = later<string>();
    const waiting = within({ timeoutMs: 10, onTimeout }, () => outcome.promise);
    vi.advanceTimersByTime(10);
    outcome.resolve("just in time");
    expect(await waiting).toBe("just in time");
    await new Promise(setImmediate);
    expect(onTimeout).not.toHaveBeenCalled();
  });

  test("whoever undoes a deadline in its last turn hears nothing of it", async () => {
    const expired = vi.fn();
    const undo = afterDeadline(10, expired);
    vi.advanceTimersByTime(10);
    undo();
    await new Promise(setImmediate);
    expect(expired).not.toHaveBeenCalled();
    afterDeadline(10, expired);
    vi.advanceTimersByTime(10);
    await new Promise(setImmediate);
    expect(expired).toHaveBeenCalledOnce();
  });

  test.each([0, undefined])("has no deadline with timeoutMs %s", (timeoutMs) => {
    within({ timeoutMs }, never);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("ends with the caller's signal", async () => {
    const caller = new AbortController();
    const waiting = within({ signal: caller.signal, timeoutMs: 1_000 }, never);
    caller.abort(new RangeError("enough"));
    await expect(waiting).rejects.toMatchObject({ code: "aborted", cause: new RangeError("enough") });
  });

  test("ends with the reason of any other signal, as it is", async () => {
    const [one, other] = [new AbortController(), new AbortController()];
    const waiting = within({ until: [one.signal, other.signal] }, never);
    const reason = new PluginError("connection-lost", "gone");
    other.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(listeners(one.signal)).toBe(0);
  });

  test.each(["signal", "until"])("does not begin when %s has fired before", async (which) => {
    const task = vi.fn(never);
    const fired = AbortSignal.abort(new PluginError("closed", "closed"));
    const limits = which === "signal" ? { signal: fired } : { until: [fired] };
    await expect(within({ ...limits, timeoutMs: 1_000 }, task)).rejects.toMatchObject({ code: "closed" });
    expect(task).not.toHaveBeenCalled();
  });

  test("ties nothing to the signals behind one that has fired already", async () => {
    const live = new AbortController();
    const until = [AbortSignal.abort(new PluginError("closed", "It was closed.")), live.signal];
    await expect(within({ until, timeoutMs: 1_000 }, never)).rejects.toMatchObject({ code: "closed" });
    await expect(within({ signal: AbortSignal.abort(), until: [live.signal] }, never)).rejects.toMatchObject({
      code: "aborted",
    });
    expect(listeners(live.signal)).toBe(0);
  });

  test("hands over what comes too late, and is not disturbed by how that goes", async () => {
    for (const undo of [vi.fn(), vi.fn(() => Promise.reject(new RangeError("undo"))), vi.fn(async () => {})]) {
      const outcome = later<string>();
      const caller = new AbortController();
      const waiting = within({ signal: caller.signal }, () => outcome.promise, undo);
      caller.abort();
      await expect(waiting).rejects.toMatchObject({ code: "aborted" });
      expect(undo).not.toHaveBeenCalled();
      outcome.resolve("late");
      await outcome.promise;
      await Promise.resolve();
      await Promise.resolve();
      expect(undo.mock.calls).toEqual([["late"]]);
    }
  });

  test("says nothing of a failure that comes too late", async () => {
    const outcome = later<string>();
    const late = vi.fn();
    const waiting = within({ timeoutMs: 10 }, () => outcome.promise, late);
    const failure = waiting.catch((reason) => reason);
    vi.advanceTimersByTime(10);
    expect(await failure).toMatchObject({ code: "timeout" });
    outcome.reject(new RangeError("late"));
    await Promise.resolve();
    expect(late).not.toHaveBeenCalled();
  });

  test("does not hand over what came in time", async () => {
    const late = vi.fn();
    await within({ timeoutMs: 10 }, async () => "in time", late);
    vi.advanceTimersByTime(10);
    expect(late).not.toHaveBeenCalled();
  });
});

describe("abortError", () => {
  test("is `timeout` for a signal that had a deadline", async () => {
    const signal = AbortSignal.timeout(1);
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    expect(abortError(signal)).toMatchObject({ code: "timeout", cause: signal.reason });
  });

  test("is `aborted` for all others, with the reason as its cause", () => {
    expect(abortError(AbortSignal.abort())).toMatchObject({ code: "aborted", cause: { name: "AbortError" } });
    expect(abortError(AbortSignal.abort("why"))).toMatchObject({ code: "aborted", cause: "why" });
  });

  test("is the reason itself where that is one of ours", () => {
    const reason = new PluginError("closed", "closed");
    expect(abortError(AbortSignal.abort(reason))).toBe(reason);
  });
});

test("throwIfAborted throws for a signal that has fired, and for no other", () => {
  throwIfAborted(undefined);
  throwIfAborted(new AbortController().signal);
  expect(() => throwIfAborted(AbortSignal.abort())).toThrow(expect.objectContaining({ code: "aborted" }));
});
