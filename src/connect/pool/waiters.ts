import type { PluginError } from "../../contract/errors.ts";
import { type Later, later } from "../../lifetime/later.ts";
import type { Seat } from "./link.ts";

/** Somebody who waits for a place. */
export interface Waiter {
  readonly priority: number;
  /** The place; rejects when there will be none. */
  readonly seat: Promise<Seat>;
  /** Aborts when nobody waits here any more. */
  readonly left: AbortSignal;
}

interface Inside extends Waiter {
  readonly answer: Later<Seat>;
  readonly leaving: AbortController;
  given?: Seat;
}

/** Those who wait for a place for a session: who has more priority goes first, and among equals who came first. */
export class Waiters {
  readonly #waiting: Inside[] = [];

  get size(): number {
    return this.#waiting.length;
  }

  /** Whether somebody waits who goes before one that comes now. */
  hasBefore(priority: number): boolean {
    return (this.#waiting[0]?.priority ?? Number.NEGATIVE_INFINITY) >= priority;
  }

  add(priority: number): Waiter {
    const answer = later<Seat>();
    const leaving = new AbortController();
    const waiter: Inside = { priority, answer, leaving, seat: answer.promise, left: leaving.signal };
    const at = this.#waiting.findIndex((other) => other.priority < priority);
    this.#waiting.splice(at === -1 ? this.#waiting.length : at, 0, waiter);
    return waiter;
  }

  /** Gives a place to whoever goes first. */
  give(seat: Seat): void {
    const first = this.#waiting.shift();
    if (first) first.given = seat;
    else seat.release();
    first?.answer.resolve(seat);
  }

  /** Tells all that there will be no place. */
  refuse(reason: PluginError): void {
    for (const { answer } of this.#waiting.splice(0)) answer.reject(reason);
  }

  /** Somebody waits no more. What was given and not taken goes to others. */
  leave(waiter: Waiter, taken: Seat | undefined): void {
    const inside = waiter as Inside;
    const at = this.#waiting.indexOf(inside);
    if (at !== -1) this.#waiting.splice(at, 1);
    // A turn later: whoever got nothing joins the connections that are being made, before they are given up.
    setImmediate(() => inside.leaving.abort());
    if (inside.given && inside.given !== taken) inside.given.release();
  }
}
