import { setTimeout as delay } from "node:timers/promises";
import type { ExecChannel } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { isSessionRefused } from "./session-refusal.ts";

/** How long a session that is over may still be counted by the server. */
const COUNTED_MS = 1_000;
/** How soon a refused request is made again. */
const AGAIN_MS = 20;
/** How often a command is asked for again that was refused on an open channel: each such channel stays with the server. */
const COMMANDS_AGAIN = 3;

/**
 * Knows when a session of one connection has ended last.
 *
 * OpenSSH may read the end of one session and the request for another in one go, and then it counts both (MaxSessions):
 * of starts that followed each other on one connection, half were refused. dropbear 2022 opens the channel, and now and
 * then refuses the command while it tidies up after the one before.
 */
export class Sessions {
  #lastEnd = Number.NEGATIVE_INFINITY;

  /** Notes the end of a session. */
  follow(channel: ExecChannel): ExecChannel {
    const note = () => {
      this.#lastEnd = performance.now();
    };
    channel.exited.then(note);
    channel.closed.then(note);
    return channel;
  }

  /** Asks for a session; asks again, for a moment, while a refusal may be due to one that is over. */
  async whenFree(ask: () => Promise<ExecChannel>, over: AbortSignal): Promise<ExecChannel> {
    const began = performance.now();
    let commandsAgain = 0;
    for (;;) {
      // What counts is when the server was asked: on a slow line the answer alone may take longer.
      const asked = performance.now();
      try {
        return await ask();
      } catch (failure) {
        const mayBeOver = asked - began < COUNTED_MS && asked - this.#lastEnd < COUNTED_MS;
        const again = isSessionRefused(failure) || (isCommandRefused(failure) && commandsAgain++ < COMMANDS_AGAIN);
        if (!again || !mayBeOver || over.aborted) throw failure;
        await delay(AGAIN_MS, undefined, { signal: over });
      }
    }
  }
}

/** Whether the server opened a channel and would not run the command on it: it tells no reason then. */
function isCommandRefused(failure: unknown): boolean {
  return failure instanceof PluginError && failure.code === "plugin-not-started" && !isSessionRefused(failure);
}
