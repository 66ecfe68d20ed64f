import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import type { Runner } from "../../src/contract/runner.ts";
import { digest } from "../servers/client.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import type { Bench, RunnerKind } from "./runner-kinds.ts";
import { failureOf, Said } from "./said.ts";

const MEGABYTE = 1024 * 1024;
/** More than all buffers on the way hold together. */
const BIG = 24 * MEGABYTE;

/** What a runner's stdout and stderr do. */
export function streamContract(kind: RunnerKind): void {
  describe("stdout and stderr", () => {
    test("deliver exactly what was written, apart", async () => {
      await using bench = await kind.open();
      const { runner, out, err } = copier(bench, 3 * MEGABYTE + 1, 2 * MEGABYTE + 7);
      await using _ = runner;
      await runner.start();
      const [stdout, stderr] = await Promise.all([buffer(runner.stdout), buffer(runner.stderr)]);
      expect(digest(stdout)).toEqual(digest(out));
      expect(digest(stderr)).toEqual(digest(err));
      expect(await runner.wait()).toEqual({ code: 6, signal: null });
    });

    test("make the plugin wait for a slow reader, who loses nothing", async () => {
      await using bench = await kind.open();
      const { runner, out, err } = copier(bench, BIG, BIG);
      await using _ = runner;
      await runner.start();
      const fast = buffer(runner.stderr);
      const { bytes, most } = await readSlowly(runner.stdout);
      expect(digest(bytes)).toEqual(digest(out));
      expect(digest(await fast)).toEqual(digest(err));
      expect(most).toBeLessThan(BIG / 4);
      expect(await runner.wait()).toEqual({ code: 6, signal: null });
    });

    test("deliver all to those who begin to read when the plugin has ended", async () => {
      await using bench = await kind.open();
      const { runner, out, err } = copier(bench, 50_000, 40_000);
      await using _ = runner;
      await runner.start();
      const pid = Number(runner.id.split("#")[1]);
      await eventually(() => !isAlive(pid), { what: "the plugin to end" });
      const [stdout, stderr] = await Promise.all([buffer(runner.stdout), buffer(runner.stderr)]);
      expect(digest(stdout)).toEqual(digest(out));
      expect(digest(stderr)).toEqual(digest(err));
      expect(await runner.wait()).toEqual({ code: 6, signal: null });
    });

    // About as much as all buffers hold while nobody reads: the plugin can end, and some of it is still on the box.
    test.each(kind.isLocal ? [50_000] : [4_250_000, 4_800_000])(
      "deliver %d bytes although the plugin has ended",
      async (length) => {
        await using bench = await kind.open();
        const { runner, out } = copier(bench, length, 1);
        await using _ = runner;
        await runner.start();
        // The reader is late. If they hold less here, the plugin waits for it, else it has been gone for a while.
        await new Promise((resolve) => setTimeout(resolve, 2500));
        expect(digest(await buffer(runner.stdout))).toEqual(digest(out));
        expect(await runner.wait()).toEqual({ code: 6, signal: null });
      },
    );

    test.each(["stdout", "stderr"] as const)("let the plugin go on when the reader of %s leaves", async (left) => {
      await using bench = await kind.open();
      const { runner, out, err } = copier(bench, 8 * MEGABYTE, 8 * MEGABYTE);
      await using _ = runner;
      await runner.start();
      runner[left].destroy();
      const other = left === "stdout" ? "stderr" : "stdout";
      expect(digest(await buffer(runner[other]))).toEqual(digest(other === "stdout" ? out : err));
      expect(await runner.wait()).toEqual({ code: 6, signal: null });
    });

    test("end when the plugin exits, although its children hold them open", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("has-children.sh", "exits") });
      await runner.start();
      const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
      expect(await stdout.all).toMatch(/^\d+ \d+\n$/);
      expect(await stderr.all).toBe("");
      expect(await runner.wait()).toEqual({ code: 5, signal: null });
      expect(stdout.text.trim().split(" ").map(Number).filter(isAlive)).toEqual([]);
    });

    test("end on kill, and what was written before it can still be read", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh", "said before") });
      await runner.start();
      const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
      await stdout.until(/said before\n/);
      await runner.kill();
      expect([await stdout.all, await stderr.all]).toEqual(["said before\n", ""]);
    });

    test("end on kill, with the plugin's last words", async () => {
      await using bench = await kind.open();
      // On a busy machine it may take its time to say it.
      const runner = bench.runner({ command: bench.command("says-goodbye.sh"), killGraceMs: 20_000 });
      await runner.start();
      const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
      await stdout.until(/\d+\n/);
      await runner.kill();
      expect([await stdout.all, await stderr.all]).toEqual([expect.stringMatching(/^\d+\ngoodbye\n$/), "goodbye\n"]);
      expect(await runner.wait()).toEqual({ code: 0, signal: null });
    });

    test("end on kill for those who begin to read then", async () => {
      await using bench = await kind.open();
      const { runner } = copier(bench, BIG, BIG);
      await runner.start();
      await runner.kill();
      const ended = await Promise.all([buffer(runner.stdout), buffer(runner.stderr)]);
      for (const { length } of ended) expect(length).toBeLessThan(BIG);
    });

    test("hold nothing open after a kill, although nobody ever reads them", async () => {
      await using bench = await kind.open();
      const { runner } = copier(bench, BIG, BIG);
      await runner.start();
      await runner.kill();
    });

    test("end when the plugin was never started", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
      await runner.kill();
      expect([await stdout.all, await stderr.all]).toEqual(["", ""]);
    });

    test("end when the start has failed", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: [join(bench.directory, "nothing")] });
      expect((await failureOf(runner.start())).code).toBe("plugin-not-started");
      expect(await Promise.all([buffer(runner.stdout), buffer(runner.stderr)])).toEqual([
        Buffer.alloc(0),
        Buffer.alloc(0),
      ]);
    });

    test.skipIf(kind.isLocal)("end when the connection breaks, and so does every wait", async () => {
      await using bench = await kind.open();
      const runner = bench.runner({ command: bench.command("stays.sh") });
      await runner.start();
      const [stdout, stderr] = [new Said(runner.stdout), new Said(runner.stderr)];
      const waiting = failureOf(runner.wait());
      await stdout.until(/\n/);
      bench.server?.killSessions("SIGKILL");
      await Promise.all([stdout.all, stderr.all]);
      expect((await waiting).code).toBe("connection-lost");
      expect((await failureOf(runner.wait())).code).toBe("connection-lost");
      expect((await failureOf(runner.kill())).code).toBe("connection-lost");
      expect((await failureOf(runner.pluginToHost({ network: "unix", path: "/x" }))).code).toBe("connection-lost");
    });
  });
}

/** A plugin that writes so many random bytes to stdout and stderr, and exits with 6. */
function copier(bench: Bench, outLength: number, errLength: number): { runner: Runner; out: Buffer; err: Buffer } {
  const file = (name: string, bytes: Buffer) => {
    const path = join(bench.directory, name);
    writeFileSync(path, bytes);
    chmodSync(path, 0o644);
    return { path, bytes };
  };
  const out = file("out", randomBytes(outLength));
  const err = file("err", randomBytes(errLength));
  const runner = bench.runner({ command: bench.command("copies-files.sh", out.path, err.path) });
  return { runner, out: out.bytes, err: err.bytes };
}

/** Reads a little at each turn of the event loop; tells how much was waiting to be read at most. */
async function readSlowly(stream: Readable): Promise<{ bytes: Buffer; most: number }> {
  const chunks: Buffer[] = [];
  let most = 0;
  const waiting = () => stream.readableLength + ("writableLength" in stream ? Number(stream.writableLength) : 0);
  for await (const chunk of stream) {
    chunks.push(chunk);
    most = Math.max(most, waiting());
    await new Promise((resolve) => setTimeout(resolve, chunks.length % 16 === 0 ? 1 : 0));
  }
  return { bytes: Buffer.concat(chunks), most };
}
