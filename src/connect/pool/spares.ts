import type { ExecChannel } from "../../contract/connection.ts";
import { within } from "../../lifetime/deadline.ts";
import type { Link } from "./link.ts";

/**
 * Who needs a session waits no longer for one that is to be given back. Where the line or the box is so slow that two
 * round trips take that long, a login takes longer still.
 */
const GIVE_BACK_MS = 5_000;

/** Ends a spare command, because somebody needs its session. */
export type GiveBack = () => Promise<unknown>;

/** A command that is nobody's yet. */
interface Spare {
  readonly link: Link;
  /** Its session is counted no more. */
  readonly end: () => void;
  readonly giveBack: GiveBack;
}

/** The commands that wait for whoever needs them next, or needs their sessions. */
export class Spares {
  readonly #waiting = new Map<ExecChannel, Spare>();
  readonly #goingBack = new Set<Promise<undefined>>();

  /** Keeps one until it ends. */
  add(channel: ExecChannel, spare: Spare): void {
    this.#waiting.set(channel, spare);
    channel.closed.then(() => this.#waiting.delete(channel));
  }

  /** Hands one over, if it is still there. */
  take(channel: ExecChannel): Spare | undefined {
    const spare = this.#waiting.get(channel);
    this.#waiting.delete(channel);
    return spare?.link.isLost ? undefined : spare;
  }

  /** How many give their sessions back now. */
  get goingBack(): number {
    return this.#goingBack.size;
  }

  /**
   * Has as many give their sessions back as are needed, and all if that is not enough: then there is `undefined`.
   * Otherwise what comes resolves when the next one has, whoever asked for it, and never rejects.
   */
  reclaim(needed: number): Promise<undefined> | undefined {
    for (const [channel, { link, giveBack }] of this.#waiting) {
      if (this.#goingBack.size >= needed) break;
      this.#waiting.delete(channel);
      if (!link.isLost) this.#follow(given(giveBack));
    }
    return this.#goingBack.size >= needed ? Promise.race(this.#goingBack) : undefined;
  }

  #follow(given: Promise<undefined>): void {
    const over = given.then(() => void this.#goingBack.delete(over));
    this.#goingBack.add(over);
  }
}

async function given(giveBack: GiveBack): Promise<undefined> {
  await within({ timeoutMs: GIVE_BACK_MS }, giveBack).catch(() => {});
  return undefined;
}
