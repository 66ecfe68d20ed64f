import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { shells } from "./shells.ts";
import { sh, Trial } from "./trial.ts";

// These tests mostly wait: for a grace, for a lease, for an end.
vi.setConfig({ maxConcurrency: 20 });

const TEN_MB = 10 * 1024 * 1024;

describe.concurrent.each(shells())("what comes back from a plugin under $name", (shell) => {
  test.each([0, 1, 2, 3, 99, 125, 126, 127, 128, 200, 255])("exit code %i", async (code) => {
    await using trial = await Trial.start(shell, { command: sh(`exit ${code}`) });
    expect(await trial.process.exited).toEqual({ code, signal: null });
  });

  test.each(["HUP", "INT", "QUIT", "ABRT", "BUS", "KILL", "USR1", "SEGV", "PIPE", "TERM"])(
    "signal %s",
    async (name) => {
      // A shell hands INT and QUIT to its background children as ignored, so perl or anything else could not die of them.
      const deaf = name === "INT" || name === "QUIT";
      await using trial = await Trial.start(shell, { command: sh(`kill -${name} $$; exit 4`) });
      const expected = deaf ? { code: 4, signal: null } : { code: null, signal: `SIG${name}` };
      expect(await trial.process.exited).toEqual(expected);
    },
  );

  test("nothing that the supervisor's shell says about an end", async () => {
    const script = "echo out; echo err >&2; sleep 5000 & echo ready; wait";
    const ends = [
      (trial: Trial) => trial.process.stop(),
      (trial: Trial) => process.kill(trial.report.pid, "SIGSEGV"),
      (trial: Trial) => process.kill(trial.report.pid, "SIGKILL"),
      (trial: Trial) => process.kill(trial.report.supervisorPid, "SIGTERM"),
      (trial: Trial) => trial.channel?.stdin.end(),
    ];
    for (const end of ends) {
      await using trial = await Trial.start(shell, { command: sh(script), spec: { leaseMs: 60_000 } });
      await trial.says(/ready/);
      await end(trial);
      await trial.process.exited;
      const said = [String(await trial.output.stdout), String(await trial.output.stderr)];
      expect(said).toEqual(["out\nready\n", "err\n"]);
    }
  });

  test("10 MB on each stream, unchanged", async () => {
    const [out, err] = [randomBytes(TEN_MB), randomBytes(TEN_MB)];
    await using trial = new Trial(shell, { command: sh("cat out & cat err >&2; wait") });
    writeFileSync(join(trial.base, "out"), out);
    writeFileSync(join(trial.base, "err"), err);
    await trial.start();
    expect(await trial.process.exited).toEqual({ code: 0, signal: null });
    expect((await trial.output.stdout).equals(out)).toBe(true);
    expect((await trial.output.stderr).equals(err)).toBe(true);
  });

  test("bytes that no shell could hold, from the first on", async () => {
    await using trial = await Trial.start(shell, { command: ["printf", "\\000\\377\\n\\000"] });
    expect(await trial.output.stdout).toEqual(Buffer.from([0, 255, 10, 0]));
  });
});
