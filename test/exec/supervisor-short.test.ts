import { describe, expect, test } from "vitest";
import { shells } from "./shells.ts";
import { sh, Trial } from "./trial.ts";

/** So many plugins, so many at a time: enough to meet the supervisor's helpers at every moment of their start. */
const PLUGINS = 150;
const AT_ONCE = 10;

describe.each(shells())("plugins that end at once under $name", (shell) => {
  test("leave neither the lease's clock nor what it waits with", { timeout: 300_000 }, async () => {
    const one = async () => {
      await using trial = await Trial.start(shell, { command: sh("exit 3"), spec: { leaseMs: 60_000 } });
      expect(await trial.process.exited).toEqual({ code: 3, signal: null });
    };
    const row = async () => {
      for (let done = 0; done < PLUGINS / AT_ONCE; done++) await one();
    };
    await Promise.all(Array.from({ length: AT_ONCE }, row));
  });
});
