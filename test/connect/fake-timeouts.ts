import createDebug from "debug";
import { vi } from "vitest";
import { later } from "../../src/lifetime/later.ts";

/** Runs `task` while timeouts fire only when it says how much time has passed. Intervals and the clock are real. */
export function withFakeTimeouts(task: (pass: (ms: number) => void) => Promise<void>): Promise<void> {
  return withFake(["setTimeout", "clearTimeout"], task);
}

/** Runs `task` while intervals fire only when it says how much time has passed. Timeouts and the clock are real. */
export function withFakeIntervals(task: (pass: (ms: number) => void) => Promise<void>): Promise<void> {
  return withFake(["setInterval", "clearInterval"], task);
}

async function withFake(
  toFake: ("setTimeout" | "clearTimeout" | "setInterval" | "clearInterval")[],
  task: (pass: (ms: number) => void) => Promise<void>,
): Promise<void> {
  vi.useFakeTimers({ toFake });
  try {
    await task((ms) => vi.advanceTimersByTime(ms));
  } finally {
    vi.useRealTimers();
  }
}

/** Runs `task` with a promise that resolves as soon as the room says something that contains `words`. */
export async function hearing<T>(words: string, task: (heard: Promise<void>) => Promise<T>): Promise<T> {
  const { log } = createDebug;
  const heard = later<void>();
  createDebug.log = (line: string, ...more: unknown[]) => {
    if ([line, ...more].join(" ").includes(words)) heard.resolve();
  };
  createDebug.enable("go-plugin-ssh:connect,go-plugin-ssh:openssh");
  try {
    return await task(heard.promise);
  } finally {
    createDebug.disable();
    createDebug.log = log;
  }
}
