import { setTimeout as delay } from "node:timers/promises";
import { inspect } from "node:util";

/** How often a condition is looked at. */
const POLL_MS = 5;
/** A limit ends a hang; it does not measure: a process may be held up for seconds where others have much to do. */
const TIMEOUT_MS = 30_000;

/** What {@link eventually} waits for, and how long. */
export interface Patience {
  /**
   * After how many milliseconds to give up.
   * @default 30_000
   */
  timeoutMs?: number;
  /** What is waited for, for the message. */
  what: string;
  /** What to show when it did not come, or a promise of it; by default what `check` gave or threw last. */
  state?: () => unknown;
}

/** The values that mean "not yet". */
type NotYet = undefined | false | null;

/**
 * Waits for the outside world: looks again and again until `check` gives something, and gives that. A `check` that
 * throws is asked again as well, so an assertion will do.
 *
 * This is the only way in which a test may wait for something that does not tell.
 *
 * @throws {Error} after `timeoutMs`, with the last state
 */
export async function eventually<T>(
  check: () => T | NotYet | Promise<T | NotYet>,
  { timeoutMs = TIMEOUT_MS, what, state }: Patience,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let last: unknown;
    try {
      const result = await check();
      if (result !== undefined && result !== false && result !== null) return result;
      last = result;
    } catch (failure) {
      last = failure;
    }
    if (performance.now() >= deadline) {
      const shown = inspect(state ? await state() : last, { depth: 4 });
      throw new Error(`Waited ${timeoutMs} ms for ${what}. The last state was: ${shown}`);
    }
    await delay(POLL_MS);
  }
}
