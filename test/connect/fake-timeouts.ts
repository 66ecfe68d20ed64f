import createDebug from "debug";
import { vi } from "vitest";
import { later } from "../../src/lifetime/later.ts";

/** Runs `task` while timeouts fire only when it says how much time has passed. Intervals and the clock are real. */
export async function withFakeTimeouts(task: (pass: (ms: number) => void) => Promise<void>): Promise<void> {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await task((ms) => vi.advanceTimersByTime(ms));
  } finally {
    vi.useRealTimers();
  }
}

/** Runs `task` with a promise that resolves as soon as the room says something that contains `words`. */
export async function hearing(words: string, task: (heard: Promise<void>) => Promise<void>): Promise<void> {
  const { log } = createDebug;
  const heard = later<void>();
  createDebug.log = (line: string, ...more: unknown[]) => {
    if ([line, ...more].join(" ").includes(words)) heard.resolve();
  };
  createDebug.enable("go-plugin-ssh:connect");
  try {
    await task(heard.promise);
  } finally {
    createDebug.disable();
    createDebug.log = log;
  }
}
