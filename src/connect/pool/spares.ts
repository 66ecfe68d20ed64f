import type { ExecChannel } from "../../contract/connection.ts";
import { within } from "../../lifetime/deadline.ts";
import type { Link } from "./link.ts";

/** Who needs a session waits no longer for one that is to be given back. */
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

  /** Has one give its session back; `undefined` if there is none. What comes resolves when it has, and never rejects. */
  reclaim(): Promise<undefined> | undefined {
    for (const [channel, { link, giveBack }] of this.#waiting) {
      this.#waiting.delete(channel);
      if (!link.isLost) return given(giveBack);
    }
    return undefined;
  }
}

async function given(giveBack: GiveBack): Promise<undefined> {
  await within({ timeoutMs: GIVE_BACK_MS }, giveBack).catch(() => {});
  return undefined;
}
