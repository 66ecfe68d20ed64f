import { PluginError } from "../contract/errors.ts";
import { afterDeadline } from "./after-deadline.ts";

/** What may end a wait before its task does. */
export interface Limits {
  /** The caller's signal. */
  signal?: AbortSignal | undefined;
  /** How long the task may take, in milliseconds; 0 or absent: as long as it likes. */
  timeoutMs?: number | undefined;
  /** The error for a passed deadline. */
  onTimeout?: (() => PluginError) | undefined;
  /** Further signals that end the wait; their reason becomes the error. */
  until?: readonly AbortSignal[] | undefined;
}

/**
 * Runs `task` until it settles, or until the first of its limits is reached. The signal that the task gets aborts at
 * that moment, and also when the task has settled, so that whatever the task tied to it is released on every path.
 *
 * The task's promise is raced, not trusted: a task that ignores its signal cannot keep the caller waiting. What such a
 * task gives later is handed to `late`, to be undone.
 *
 * @throws {PluginError} `aborted` for the caller's signal, `timeout` for the deadline, else what the task threw
 */
export function within<T>(
  limits: Limits,
  task: (signal: AbortSignal) => Promise<T>,
  late: (result: T) => unknown = () => {},
): Promise<T> {
  const over = new AbortController();
  return new Promise<T>((resolve, reject) => {
    let settled = false;
    const undo: (() => void)[] = [];
    const settle = (finish: () => void) => {
      if (settled) return;
      settled = true;
      for (const release of undo) release();
      finish();
      over.abort();
    };
    const endWith = (signal: AbortSignal, failure: () => unknown) => {
      // What is tied to a signal after the end would never be released.
      if (settled) return;
      const listener = () => {
        const reason = failure();
        settle(() => reject(reason));
      };
      if (signal.aborted) return listener();
      signal.addEventListener("abort", listener, { once: true });
      undo.push(() => signal.removeEventListener("abort", listener));
    };

    if (limits.timeoutMs) {
      const { timeoutMs } = limits;
      const giveUp = () =>
        settle(() =>
          reject(limits.onTimeout?.() ?? new PluginError("timeout", `Nothing came within ${timeoutMs} ms.`)),
        );
      undo.push(afterDeadline(timeoutMs, giveUp));
    }
    const { signal } = limits;
    if (signal) endWith(signal, () => abortError(signal));
    for (const end of limits.until ?? []) endWith(end, () => end.reason);
    if (settled) return;

    running(task, over.signal).then(
      (result) => (settled ? void Promise.resolve(late(result)).catch(() => {}) : settle(() => resolve(result))),
      (failure) => settle(() => reject(failure)),
    );
  });
}

/** A task's promise, also if it throws before it has one. */
async function running<T>(task: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  return task(signal);
}

/** The error for a caller's signal that has fired: `timeout` for `AbortSignal.timeout()`, otherwise `aborted`. */
export function abortError(signal: AbortSignal): PluginError {
  const { reason } = signal;
  if (reason instanceof PluginError) return reason;
  return reason instanceof Error && reason.name === "TimeoutError"
    ? new PluginError("timeout", "The caller's deadline passed.", { cause: reason })
    : new PluginError("aborted", "The caller gave up.", { cause: reason });
}

/** Throws what {@link abortError} says if `signal` has fired already. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal);
}
