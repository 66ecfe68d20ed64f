import { INITIAL_WINDOW_BYTES } from "./frame.ts";
import { Inbox } from "./inbox.ts";

/** What comes on one stream: how much of it may come, and what has come and was not yet read. */
export class Incoming {
  readonly #windowBytes: number;
  readonly #inbox = new Inbox();
  #credit = INITIAL_WINDOW_BYTES;
  #isWanted = false;
  #isEnded = false;

  /** @param windowBytes how much may be on its way or unread once the stream has begun */
  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  /** Whether everything has come. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  /** How much waits here for the reader. */
  get bytes(): number {
    return this.#inbox.bytes;
  }

  /** The other side has spent `bytes` of its credit; `false` if it did not have as much. */
  spend(bytes: number): boolean {
    this.#credit -= bytes;
    return this.#credit >= 0;
  }

  /** The credit with which the stream begins, beyond the one that every stream has. */
  firstGrant(): number {
    const grant = this.#windowBytes - INITIAL_WINDOW_BYTES;
    this.#credit += grant;
    return grant;
  }

  /**
   * How much more credit the other side is to be given, and has then: what was read of the window, once it is half of
   * it, as Go does. Otherwise 0.
   *
   * @param unread how much the reader has not taken, besides what waits here
   */
  nextGrant(unread: number): number {
    const grant = this.#windowBytes - this.#inbox.bytes - unread - this.#credit;
    if (this.#isEnded || grant < this.#windowBytes / 2) return 0;
    this.#credit += grant;
    return grant;
  }

  /** `piece` has come. What comes after the end is dropped: Go may send it when a write and a close race. */
  add(piece: Buffer): void {
    if (!this.#isEnded) this.#inbox.add(piece);
  }

  /** Everything has come. */
  end(): void {
    this.#isEnded = true;
  }

  /** The reader asks for more. */
  want(): void {
    this.#isWanted = true;
  }

  /** What has come is handed to `push`, as long as the reader wants it; then the end, as `null`. */
  deliver(push: (chunk: Buffer | null) => boolean): void {
    while (this.#isWanted) {
      const piece = this.#inbox.take();
      if (!piece) {
        if (!this.#isEnded) return;
        this.#isWanted = false;
        push(null);
        return;
      }
      // It may ask again while it takes the piece.
      this.#isWanted = false;
      if (push(piece)) this.#isWanted = true;
    }
  }

  /** Nobody will read any more. */
  drop(): void {
    this.#isWanted = false;
    this.#inbox.clear();
  }
}
