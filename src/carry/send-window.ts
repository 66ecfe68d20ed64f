import { FIRST_WINDOW } from "./frames.ts";

/** How much a receiver takes, on one stream or on the connection, and how much of what he has taken its sender never sent. */
export class SendWindow {
  /** What may still be sent; less than nothing after SETTINGS that made windows smaller. */
  room: number;
  #debt = 0;

  constructor(room = FIRST_WINDOW) {
    this.room = room;
  }

  /** Whether the receiver's next allowance is not for the sender, or not all of it. */
  get hasDebt(): boolean {
    return this.#debt > 0;
  }

  /** Sends bytes of ours, for which the sender of those that came in their place has been paid already. */
  lend(length: number): void {
    this.room -= length;
    this.#debt += length;
  }

  /** How much of an allowance the sender is to hear; the rest pays for what was lent. */
  withhold(increment: number): number {
    const kept = Math.min(increment, this.#debt);
    this.#debt -= kept;
    return increment - kept;
  }
}
