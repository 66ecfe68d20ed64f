import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Sessions } from "../../src/connect/sessions.ts";
import type { ExecChannel } from "../../src/contract/connection.ts";
import { PluginError } from "../../src/contract/errors.ts";

const OVER = new AbortController().signal;
const CHANNEL = {
  exited: Promise.resolve({ code: 0, signal: null }),
  closed: Promise.resolve(),
} as unknown as ExecChannel;

/** What a server answers that would not open a channel, and one that opened it and would not run the command. */
const noChannel = new PluginError("plugin-not-started", "no", { cause: Object.assign(new Error("no"), { reason: 1 }) });
const noCommand = new PluginError("plugin-not-started", "no", { cause: new Error("Unable to exec") });

/** How much time each question takes. */
const ANSWER_MS = 100;

// The time is the test's: nobody may be held up for longer than what counts as a moment.
let now = 0;
beforeEach(() => void vi.spyOn(performance, "now").mockImplementation(() => now));
afterEach(() => void vi.restoreAllMocks());

/** Refuses so often, then gives a channel; counts. */
function refusing(times: number, failure: PluginError) {
  const asked = { times: 0 };
  const ask = async () => {
    asked.times += 1;
    now += ANSWER_MS;
    if (asked.times <= times) throw failure;
    return CHANNEL;
  };
  return { asked, ask };
}

/** Sessions of which one has just ended. */
async function justEnded(): Promise<Sessions> {
  const sessions = new Sessions();
  sessions.follow(CHANNEL);
  await CHANNEL.closed;
  return sessions;
}

describe("a session that is refused right after the end of another", () => {
  test.each([
    ["a channel", noChannel],
    ["a command", noCommand],
  ])("is asked for again: %s", async (_what, failure) => {
    const { asked, ask } = refusing(3, failure);
    expect(await (await justEnded()).whenFree(ask, OVER)).toBe(CHANNEL);
    expect(asked.times).toBe(4);
  });

  test("is given up, a command after three times more", async () => {
    const { asked, ask } = refusing(Number.POSITIVE_INFINITY, noCommand);
    await expect((await justEnded()).whenFree(ask, OVER)).rejects.toBe(noCommand);
    expect(asked.times).toBe(4);
  });

  test("is given up, a channel after a second", async () => {
    const { asked, ask } = refusing(Number.POSITIVE_INFINITY, noChannel);
    await expect((await justEnded()).whenFree(ask, OVER)).rejects.toBe(noChannel);
    expect(asked.times).toBe(1_000 / ANSWER_MS + 1);
  });
});

test("a session that is refused when none has ended is not asked for again", async () => {
  for (const failure of [noChannel, noCommand]) {
    const { asked, ask } = refusing(1, failure);
    await expect(new Sessions().whenFree(ask, OVER)).rejects.toBe(failure);
    expect(asked.times).toBe(1);
  }
});

test("other failures are told at once", async () => {
  const lost = new PluginError("connection-lost", "gone");
  const { asked, ask } = refusing(1, lost);
  await expect((await justEnded()).whenFree(ask, OVER)).rejects.toBe(lost);
  expect(asked.times).toBe(1);
});
