import { unlinkSync } from "node:fs";

/** Something that is open on the server. */
export interface Entry {
  /** What it is, for people. */
  readonly what: string;
  /** Ends it now. */
  close(): void;
}

/** Knows what is open on the server, so that it can be counted, ended and, at the end, be found missing. */
export class Ledger {
  /** SSH channels. */
  readonly channels = new Set<Entry>();
  /** Listeners that were made for a client. */
  readonly forwards = new Set<Entry>();
  /** The box's ends of forwarded connections. They have no say in leak checks: their channels have. */
  readonly sockets = new Set<Entry>();
  /** Process groups of all commands that were started, ended or not. */
  readonly groups = new Set<number>();
  /** Socket files that were made for a client, with how to tell that a file is still the one that was made. */
  readonly socketFiles = new Map<string, () => boolean>();
  #waiting = new Set<() => void>();

  /** Enters `entry` into `book`, and gives back how to strike it out; more than once does no harm. */
  enter(book: Set<Entry>, entry: Entry): () => void {
    book.add(entry);
    return () => {
      book.delete(entry);
      if (this.#settled()) for (const resolve of this.#waiting) resolve();
    };
  }

  /** Resolves when no channel and no forward is open any more, or after `timeoutMs`. */
  settled(timeoutMs: number): Promise<void> {
    if (this.#settled()) return Promise.resolve();
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, timeoutMs);
      this.#waiting.add(done);
    });
  }

  /** What a client left open, one line each. */
  leftOpen(): string[] {
    return [
      ...[...this.channels].map(({ what }) => `channel ${what}`),
      ...[...this.forwards].map(({ what }) => `forward ${what}`),
    ];
  }

  /** The socket files that nobody has deleted yet; they are deleted now. */
  takeSocketFiles(): string[] {
    const left = [...this.socketFiles].filter(([, isThere]) => isThere()).map(([path]) => path);
    this.socketFiles.clear();
    for (const path of left) unlinkSync(path);
    return left;
  }

  /** Ends all that is open, processes excepted. */
  endAll(): void {
    for (const book of [this.channels, this.forwards, this.sockets]) for (const entry of [...book]) entry.close();
  }

  #settled(): boolean {
    return this.channels.size + this.forwards.size === 0;
  }
}
