import { SharedAttempt } from "../../lifetime/shared-attempt.ts";
import type { Link } from "./link.ts";

/** A connection that is being made, and how many wait for it. */
interface Opening {
  readonly attempt: SharedAttempt<Link>;
  joined: number;
}

/** The connections that are being made. One for which nobody waits any more is given up. */
export class Openings {
  readonly #open: (signal: AbortSignal, priority: number) => Promise<Link>;
  readonly #onOpen: (link: Link) => void;
  readonly #underWay = new Set<Opening>();

  /**
   * @param open makes one
   * @param onOpen told once of each that was made, before those who waited for it
   */
  constructor(open: (signal: AbortSignal, priority: number) => Promise<Link>, onOpen: (link: Link) => void) {
    this.#open = open;
    this.#onOpen = onOpen;
  }

  get size(): number {
    return this.#underWay.size;
  }

  /**
   * Waits for one: for the one for which the fewest wait, or for another one if there are not enough.
   *
   * @param needed how many must be under way at least
   */
  async join(needed: number, priority: number, signal: AbortSignal | undefined): Promise<Link> {
    const usable = [...this.#underWay].filter(({ attempt }) => attempt.usable);
    const [first] = usable.sort((one, other) => one.joined - other.joined);
    const opening = first && usable.length >= needed ? first : this.#begin(priority);
    opening.joined += 1;
    try {
      return await opening.attempt.join(signal);
    } finally {
      opening.joined -= 1;
      const { result, usable } = opening.attempt;
      // The first one who hears of it takes it over. It may be one who has given up just now.
      if ((result || !usable) && this.#underWay.delete(opening) && result) this.#onOpen(result);
    }
  }

  #begin(priority: number): Opening {
    const attempt = new SharedAttempt(
      (signal) => this.#open(signal, priority),
      (late) => late.connection.close(),
    );
    const opening = { attempt, joined: 0 };
    this.#underWay.add(opening);
    return opening;
  }
}
