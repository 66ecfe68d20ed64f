import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import type { RunnerKind } from "../contract/runner-kinds.ts";
import { digest } from "../servers/client.ts";
import { eventually } from "../tools/eventually.ts";
import { startKvOn } from "./started-client.ts";

const FIFTY_MEGABYTES = 50_000_000;
const BLOCK = 64 * 1024;

/** What becomes of what the plugin logs. */
export function outputContract(kind: RunnerKind): void {
  describe("stderr", () => {
    test("is given to the tap, unchanged", async () => {
      await using bench = await kind.open();
      const tap = new Collector();
      await using hosted = await startKvOn(bench, { stderr: tap });
      const lines = ["[WARN] ordinary", "", "\tnaïve 日本 \x1b[31mred\x1b[0m\r", "x".repeat(300_000), "end of lines"];
      await hosted.kv.log({ lines });
      const expected = `${lines.join("\n")}\n`;
      await eventually(() => tap.text().includes("end of lines\n"), { what: "the lines to arrive" });
      expect(tap.text().slice(-expected.length)).toBe(expected);
      await hosted.client.kill();
      expect(tap.writableEnded).toBe(false);
    });

    test("of 50 MB does not hold up calls, and arrives whole", { timeout: 240_000 }, async () => {
      await using bench = await kind.open();
      const tap = new Collector();
      await using hosted = await startKvOn(bench, { flags: ["-flood", `${FIFTY_MEGABYTES}`], stderr: tap });
      let during = 0;
      while (tap.length < FIFTY_MEGABYTES) {
        await hosted.kv.echo({ payload: Buffer.from("still there?") });
        during += 1;
      }
      expect(during).toBeGreaterThan(0);
      const all = tap.bytes();
      const begin = all.indexOf("flood 000000000000");
      expect(digest(all.subarray(begin))).toEqual(digest(flood(FIFTY_MEGABYTES)));
    });

    test("of 50 MB that nobody wants does not hold up calls either", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench, { flags: ["-flood", `${FIFTY_MEGABYTES}`] });
      for (let n = 0; n < 20; n += 1) await hosted.kv.echo({ payload: Buffer.alloc(100_000) });
    });

    // The embedded server keeps the pipes of a command that has ended before its output was taken.
    test.skipIf(kind.name.includes("embedded"))(
      "with a tap that takes nothing holds up neither calls nor the kill",
      async () => {
        await using bench = await kind.open();
        const stuck = new Writable({ write: () => {} });
        await using hosted = await startKvOn(bench, { flags: ["-flood", `${FIFTY_MEGABYTES}`], stderr: stuck });
        await eventually(() => stuck.writableNeedDrain, { what: "the tap to be full" });
        for (let n = 0; n < 20; n += 1) await hosted.kv.echo({ payload: Buffer.alloc(100_000) });
        await hosted.client.kill();
        expect(await hosted.client.wait()).toEqual({ code: 0, signal: null });
      },
    );

    test("with a tap that fails does no harm", async () => {
      await using bench = await kind.open();
      const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error("full")) }).on(
        "error",
        () => {},
      );
      await using hosted = await startKvOn(bench, { flags: ["-flood", "3000000"], stderr: broken });
      await eventually(() => broken.destroyed, { what: "the tap to fail" });
      await hosted.kv.log({ lines: ["more"] });
      await hosted.client.ping();
    });
  });
}

/** Keeps everything. */
class Collector extends Writable {
  readonly #chunks: Buffer[] = [];
  length = 0;

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#chunks.push(chunk);
    this.length += chunk.length;
    done();
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  text(): string {
    return this.bytes().toString("utf8");
  }
}

/** What `test/plugins/go/kv/flood.go` writes. */
function flood(total: number): Buffer {
  const lines: string[] = [];
  for (let n = 0; n * 128 < total + BLOCK; n += 1) {
    lines.push(`${`flood ${String(n).padStart(12, "0")} `.padEnd(127, ".")}\n`);
  }
  const bytes = Buffer.from(lines.join("")).subarray(0, total);
  bytes[total - 1] = 10;
  return bytes;
}
