import { setImmediate as turn } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { later } from "../../src/lifetime/later.ts";
import { type Bench, localKind, opensshKind } from "../contract/runner-kinds.ts";
import { Sink } from "../plugins/gen/output_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { print, servicesOf } from "../plugins/kv-services.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { Collector } from "./collector.ts";
import { type Difference, startKvOn } from "./started-client.ts";

const EIGHT_MEGABYTES = 8_000_003;
const PATIENCE = { timeoutMs: 40_000 };

describe.each([
  ["LocalRunner", localKind, true],
  ["SshRunner, sshd", opensshKind(), hasTier("openssh")],
] as const)("what the plugin prints, by %s,", (_name, kind, available) => {
  describe.skipIf(!available || !hasTier("go"))("", () => {
    beforeAll(buildKv, 6 * 60_000);

    test.each([false, true])("arrives whole and in order, of both streams at once; multiplexed: %s", async (mux) => {
      await using bench = await kind.open();
      const [out, err] = [new Collector(), new Collector()];
      const difference = { syncStdout: out, syncStderr: err, grpcBrokerMultiplex: mux };
      await using hosted = await startOn(bench, difference);
      await Promise.all([
        print(hosted.services, Sink.STDIO_STDOUT, "out 0123456789\n", { total: EIGHT_MEGABYTES }),
        print(hosted.services, Sink.STDIO_STDERR, "err 0123456\n", { total: EIGHT_MEGABYTES }),
      ]);
      await eventually(() => out.length === EIGHT_MEGABYTES && err.length === EIGHT_MEGABYTES, {
        ...PATIENCE,
        what: "all that was printed",
        state: () => [out.length, err.length],
      });
      expect(out.bytes().equals(repeated("out 0123456789\n"))).toBe(true);
      expect(err.bytes().equals(repeated("err 0123456\n"))).toBe(true);
      await hosted.client.kill();
      expect([out.writableEnded, err.writableEnded]).toEqual([false, false]);
    });
  });
});

describe.skipIf(!hasTier("go"))("what the plugin prints", () => {
  beforeAll(buildKv, 6 * 60_000);

  test("is taken no faster than a slow stream takes it, and calls go on", async () => {
    await using bench = await localKind.open();
    const out = new Collector(turn);
    await using hosted = await startOn(bench, { syncStdout: out });
    await print(hosted.services, Sink.STDIO_STDOUT, "slow\n", { total: EIGHT_MEGABYTES, background: true });
    let largest = 0;
    while (out.length < EIGHT_MEGABYTES) {
      await hosted.kv.echo({ payload: Buffer.from("still there?") });
      largest = Math.max(largest, out.writableLength);
    }
    expect(out.bytes().equals(repeated("slow\n"))).toBe(true);
    expect(largest).toBeLessThan(1_000_000);
  });

  test("for a stream that takes nothing holds up neither calls nor the kill", async () => {
    await using bench = await localKind.open();
    const never = later<void>();
    const stuck = new Collector(() => never.promise);
    await using hosted = await startOn(bench, { syncStdout: stuck });
    await print(hosted.services, Sink.STDIO_STDOUT, "stuck\n", { total: EIGHT_MEGABYTES, background: true });
    await eventually(() => stuck.writableNeedDrain, { ...PATIENCE, what: "the stream to be full" });
    await hosted.client.ping();
    await hosted.client.kill();
    expect(await hosted.client.exitReason()).toMatchObject({ kind: "killed", exit: { code: 0 } });
    expect(stuck.length).toBeLessThan(EIGHT_MEGABYTES);
    never.resolve();
  });

  test("is thrown away when nobody wants it, and the plugin does not stand still", async () => {
    await using bench = await localKind.open();
    await using hosted = await startOn(bench);
    for (const sink of [Sink.STDIO_STDOUT, Sink.STDIO_STDERR, Sink.PROCESS_STDOUT, Sink.PROCESS_STDERR]) {
      // The answer comes when the stream has taken all of it.
      await print(hosted.services, sink, "nobody's\n", { total: EIGHT_MEGABYTES });
    }
    await hosted.client.ping();
  });

  test("of a stream that fails is thrown away, and the other stream gets its own", async () => {
    await using bench = await localKind.open();
    const broken = new Collector(() => Promise.reject(new Error("full"))).on("error", () => {});
    const err = new Collector();
    await using hosted = await startOn(bench, { syncStdout: broken, syncStderr: err });
    await print(hosted.services, Sink.STDIO_STDOUT, "lost\n", { total: 1_000_000 });
    await eventually(() => broken.destroyed, { ...PATIENCE, what: "the stream to fail" });
    await print(hosted.services, Sink.STDIO_STDERR, "kept\n");
    await eventually(() => err.text() === "kept\n", { ...PATIENCE, what: "the other stream", state: () => err.text() });
  });
});

async function startOn(bench: Bench, difference: Difference = {}) {
  const hosted = await startKvOn(bench, difference);
  return Object.defineProperties(hosted, {
    services: { value: servicesOf(hosted.client.transport) },
  }) as typeof hosted & {
    services: ReturnType<typeof servicesOf>;
  };
}

/** `text` again and again, cut off where eight megabytes are full. */
function repeated(text: string): Buffer {
  return Buffer.alloc(EIGHT_MEGABYTES, text);
}
