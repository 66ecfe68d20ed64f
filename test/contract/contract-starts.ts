import { statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { isAlive } from "../tools/leaks.ts";
import type { RunnerKind } from "./runner-kinds.ts";
import { failureOf, Said } from "./said.ts";

/** What a runner does when it is started. */
export function startContract(kind: RunnerKind): void {
  describe("start", () => {
    test("gives it an id, which is kept, and keeps its name", async () => {
      await using bench = await kind.open();
      const command = bench.command("stays.sh");
      const runner = bench.runner({ command });
      expect(runner.id).toBe("");
      expect(runner.name).toBe(command[0]);
      await runner.start();
      const stdout = new Said(runner.stdout);
      const [, pid] = await stdout.until(/^(\d+)\n/);
      const { id } = runner;
      expect(id.endsWith(`#${pid}`)).toBe(true);
      if (bench.server) expect(id).toBe(`ssh://${bench.server.user}@127.0.0.1:${bench.server.port}#${pid}`);
      await runner.kill();
      expect(runner.id).toBe(id);
      expect(runner.name).toBe(command[0]);
    });

    test("takes a signal that ends the starting", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      const giveUp = new AbortController();
      const starting = failureOf(runner.start(giveUp.signal));
      const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
      giveUp.abort();
      expect((await starting).code).toBe("aborted");
      expect((await failureOf(runner.wait())).code).toBe("aborted");
      expect([await stdout.all, await stderr.all]).toEqual(["", ""]);
      await runner.kill();
    });

    test("takes a signal that has fired already, and starts nothing", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      expect((await failureOf(runner.start(AbortSignal.abort()))).code).toBe("aborted");
      expect((await failureOf(runner.start(AbortSignal.timeout(0)))).code).toBe("closed");
      await runner.kill();
    });

    test("takes a signal that never ends the started", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("serves.mjs") });
      const giveUp = new AbortController();
      await runner.start(giveUp.signal);
      giveUp.abort();
      const stdout = new Said(runner.stdout);
      const { path, port } = JSON.parse((await stdout.until(/.*\n/))[0]);
      const stream = await runner.openStream?.(
        kind.networks.pluginToHost[0] === "unix"
          ? { network: "unix", path }
          : { network: "tcp", host: "127.0.0.1", port },
      );
      stream?.write("greet\n");
      const [chunk] = (await stream?.take(1).toArray()) ?? [];
      expect(String(chunk)).toBe("hello");
      expect(isAlive(Number(runner.id.split("#")[1]))).toBe(true);
    });

    test("is refused a second time, and nothing happens to the plugin", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("stays.sh") });
      const first = runner.start();
      const second = await failureOf(runner.start());
      await first;
      expect(second.code).toBe("closed");
      expect(second.hint).toBe("Make a new runner.");
      expect((await failureOf(runner.start())).code).toBe("closed");
      const stdout = new Said(runner.stdout);
      const [, pid] = await stdout.until(/^(\d+)\n/);
      expect(isAlive(Number(pid))).toBe(true);
    });

    test("gives the plugin a private directory, which goes with it", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("serves.mjs") });
      await runner.start();
      const stdout = new Said(runner.stdout);
      const { path } = JSON.parse((await stdout.until(/.*\n/))[0]);
      expect(path).toMatch(new RegExp(`^${bench.boxTmp}/gp-[0-9a-f]{10}/plugin$`));
      const { mode, uid } = statSync(path.replace(/\/plugin$/, ""));
      expect((mode & 0o777).toString(8)).toBe("700");
      expect(uid).toBe(statSync(`/proc/${runner.id.split("#")[1]}`).uid);
      await runner.kill();
      expect(() => statSync(path.replace(/\/plugin$/, ""))).toThrow("ENOENT");
    });

    test("can be undone by `await using`", async () => {
      await using bench = await kind.open();
      let pid = 0;
      {
        await using runner = bench.runner({ command: bench.command("stays.sh") });
        await runner.start();
        pid = Number(runner.id.split("#")[1]);
        expect(isAlive(pid)).toBe(true);
      }
      expect(isAlive(pid)).toBe(false);
      await using never = bench.runner({ command: bench.command("stays.sh") });
      expect(never.id).toBe("");
    });
  });

  describe("diagnose", () => {
    test("tells what is known before, during and after, and never rejects", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      expect(await runner.diagnose()).toContain("This usually means");
      const starting = runner.start();
      expect(await runner.diagnose(AbortSignal.abort())).toContain("This usually means");
      await starting;
      const during = await runner.diagnose();
      expect(during).toContain(`Path: ${runner.name}`);
      expect(during).toMatch(/Mode and owner: -rwxr-xr-x/);
      expect(during).toMatch(/Box: Linux \S+ \S+/);
      expect(during).toMatch(/Script: #!\/bin\/sh/);
      await runner.kill();
      expect(await runner.diagnose()).toContain("This usually means");
    });

    test("tells how the plugin ended and what it said last", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: ["/bin/sh", "-c", "echo bad\\\\033luck >&2; exit 9"] });
      await runner.start();
      runner.stdout.resume();
      runner.stderr.resume();
      await runner.wait();
      const told = await runner.diagnose();
      expect(told).toContain("Ended with: exit code 9");
      expect(told).toMatch(/Its stderr ended with:\n {2}bad\\(x1b|033)luck/);
      expect(told).toMatch(/ELF architecture: EM_\S+/);
    });
  });
}
