/** A session that was asked for. */
export interface AskedSession {
  /** The server has opened it. */
  granted(): void;
  /**
   * The server has not opened it, because there are so many.
   *
   * @returns the most that it can have counted
   */
  refused(): number;
  /** It has ended, or nobody knows whether it was opened. May be called often; gives whether that was news. */
  end(): boolean;
}

interface Session {
  /** Its place among what was asked for and what ended. */
  readonly at: number;
  /** What had ended by then is free for certain. */
  readonly freeBefore: number;
  isGranted: boolean;
}

/**
 * The sessions of one connection, and those that have ended and that its server may count all the same. OpenSSH closes
 * the channel first and makes the place free afterwards (`sessions_nalloc` in its session.c), so it refuses who asks in
 * between. What had ended before a question is free for all who ask when that was answered: a connection keeps the
 * order, and OpenSSH tidies up before it sends what it answers.
 */
export class SessionCount {
  readonly #sessions = new Set<Session>();
  #ends: number[] = [];
  #now = 0;
  #freeBefore = 0;

  /** Those that are open or asked for. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Those that are open. */
  get granted(): number {
    return this.#select(true).length;
  }

  /** Notes that one is asked for. */
  ask(): AskedSession {
    this.#now += 1;
    const session: Session = { at: this.#now, freeBefore: this.#freeBefore, isGranted: false };
    this.#sessions.add(session);
    return {
      granted: () => {
        session.isGranted = true;
        this.#onAnswer(session);
      },
      refused: () => {
        this.#sessions.delete(session);
        const ended = this.#ends.filter((end) => end > session.freeBefore).length;
        this.#onAnswer(session);
        return this.size + ended;
      },
      end: () => {
        if (!this.#sessions.delete(session)) return false;
        this.#now += 1;
        this.#ends.push(this.#now);
        return true;
      },
    };
  }

  #onAnswer({ at }: Session): void {
    this.#freeBefore = Math.max(this.#freeBefore, at);
    const oldest = Math.min(this.#freeBefore, ...this.#select(false).map(({ freeBefore }) => freeBefore));
    this.#ends = this.#ends.filter((end) => end > oldest);
  }

  #select(isGranted: boolean): Session[] {
    return [...this.#sessions].filter((session) => session.isGranted === isGranted);
  }
}
