import { describe, expect, test } from "vitest";
import { isAlive } from "../tools/leaks.ts";
import type { RunnerKind } from "./runner-kinds.ts";
import { failureOf, Said } from "./said.ts";

/** How `wait` and `kill` behave. */
export function endContract(kind: RunnerKind): void {
  describe("wait", () => {
    test.each([0, 1, 3, 64, 127, 128, 255])("tells the exit code %d", async (code) => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("exits.sh", String(code), "bye") });
      await runner.start();
      runner.stdout.resume();
      runner.stderr.resume();
      expect(await runner.wait()).toEqual({ code, signal: null });
    });

    test.each(["TERM", "KILL", "USR1", "SEGV"])("tells the signal %s", async (signal) => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("dies-of.sh", signal) });
      await runner.start();
      runner.stdout.resume();
      runner.stderr.resume();
      expect(await runner.wait()).toEqual({ code: null, signal: `SIG${signal}` });
    });

    test("may be asked before the start, late, and often", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("exits.sh", "3", "bye") });
      const early = runner.wait();
      await runner.start();
      runner.stdout.resume();
      runner.stderr.resume();
      const answers = [early, runner.wait(), runner.wait()];
      for (const answer of answers) expect(await answer).toEqual({ code: 3, signal: null });
      await runner.kill();
      expect(await runner.wait()).toEqual({ code: 3, signal: null });
    });

    test("takes a signal that gives up this wait only", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      await runner.start();
      const giveUp = new AbortController();
      const [impatient, patient] = [failureOf(runner.wait(giveUp.signal)), runner.wait()];
      giveUp.abort();
      expect((await impatient).code).toBe("aborted");
      expect((await failureOf(runner.wait(AbortSignal.timeout(1)))).code).toBe("timeout");
      expect(isAlive(Number(runner.id.split("#")[1]))).toBe(true);
      await runner.kill();
      expect(await patient).toEqual({ code: null, signal: "SIGTERM" });
    });
  });

  describe("kill", () => {
    test("before the start keeps the plugin from starting", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      const waiting = failureOf(runner.wait());
      await runner.kill();
      expect((await waiting).code).toBe("closed");
      expect((await failureOf(runner.start())).code).toBe("closed");
      expect(runner.id).toBe("");
    });

    test("during the start ends the starting", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      const starting = failureOf(runner.start());
      const waiting = failureOf(runner.wait());
      await runner.kill();
      expect((await starting).code).toBe("closed");
      expect((await waiting).code).toBe("closed");
    });

    test("may be called twice, at once, and after the exit", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      await runner.start();
      await Promise.all([runner.kill(), runner.kill()]);
      await runner.kill();
      expect(await runner.wait()).toEqual({ code: null, signal: "SIGTERM" });

      const gone = bench.runner({ command: bench.command("exits.sh", "0", "bye") });
      await gone.start();
      gone.stdout.resume();
      gone.stderr.resume();
      await gone.wait();
      await gone.kill();
      await gone.kill();
      expect(await gone.wait()).toEqual({ code: 0, signal: null });
    });

    test("ends a plugin that ignores TERM, its children, and theirs that left its session", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("has-children.sh", "stays") });
      await runner.start();
      const stdout = new Said(runner.stdout);
      const [line] = await stdout.until(/\d+ \d+\n/);
      const pids = [runner.id.split("#")[1], ...line.trim().split(" ")].map(Number);
      expect(pids.filter(isAlive)).toEqual(pids);
      await runner.kill();
      expect(pids.filter(isAlive)).toEqual([]);
      expect(await runner.wait()).toEqual({ code: null, signal: "SIGKILL" });
    });

    test("ends a plugin that was stopped", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      await runner.start();
      const pid = Number(runner.id.split("#")[1]);
      process.kill(pid, "SIGSTOP");
      await runner.kill();
      expect(isAlive(pid)).toBe(false);
    });

    test("goes on when the one who called it gives up", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      await runner.start();
      expect((await failureOf(runner.kill(AbortSignal.abort()))).code).toBe("aborted");
      expect(await runner.wait()).toEqual({ code: null, signal: "SIGTERM" });
      await runner.kill();
    });
  });
}
