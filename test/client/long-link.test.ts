import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { type Bench, openSshBench } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { HostService, KV } from "../plugins/gen/kv_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import { startWan } from "../tools/wan.ts";
import { causeOf, underWay } from "./failing-calls.ts";
import { GrpcJs } from "./generic-grpc-js.ts";
import { startKvOn } from "./started-client.ts";

/** 100 ms there and back, one packet of a hundred lost in each direction. */
const LINK = { delayMs: 50, lossPercent: 1, rateMbit: 10 };
/** What a test waits for on such a link, and on a loaded machine. */
const SOON_MS = 30_000;
/** Short, so that a test sees it happen, and long enough for a process that is held up for some seconds before. */
const BRIEF = {
  leaseMs: 10_000,
  heartbeatIntervalMs: 500,
  killGraceMs: 1_000,
  serverAliveIntervalMs: 3_000,
  serverAliveCountMax: 3,
};

const available = hasTier("netns") && hasTier("go");

describe.skipIf(!available)("over a long link with losses", { timeout: 120_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  test("a plugin starts, answers, streams, calls back, is forwarded and ends, through many exchanges of keys", async () => {
    await using wan = await startWan(LINK);
    await using bench = await openSshBench({ options: ["RekeyLimit 100K"], logLevel: "DEBUG1", network: wan });
    await using hosted = await startKvOn(bench);
    const { client, kv } = hosted;
    const payload = Buffer.alloc(300_000, "over a long way ");
    expect(payload.equals((await kv.echo({ payload })).payload)).toBe(true);
    expect(await counted(kv.count({ from: 1, to: 300, size: 1_000 }))).toEqual({ last: 300, bytes: 300_000 });

    const id = client.broker.nextId();
    await using _ = await client.broker.acceptAndServe(id, (router) => {
      router.service(HostService, { greet: ({ text }) => ({ text: `Hello, ${text}` }) });
    });
    expect((await kv.callHost({ brokerId: id, text: "far host" })).text).toBe("Hello, far host");

    using grpcJs = new GrpcJs(await client.grpcTarget());
    const back = await grpcJs.unary(KV.method.echo, { payload });
    expect(payload.equals(back.payload)).toBe(true);
    await client.kill();
    expect(await client.wait()).toEqual({ code: 0, signal: null });
    expect(readdirSync(bench.boxTmp)).toEqual([]);
    expect((await bench.server?.log())?.match(/SSH2_MSG_NEWKEYS received/g)?.length).toBeGreaterThan(3);
  });

  test("two seconds of silence do no harm: nothing is lost", async () => {
    await using wan = await startWan(LINK);
    await using bench = await openSshBench({ network: wan });
    await using hosted = await startKvOn(bench);
    const payloads = Array.from({ length: 5 }, (_, n) => Buffer.alloc(50_000, `${n} `));
    const streamed = counted(hosted.kv.count({ from: 1, to: 200, size: 1_000 }));
    const echoed = payloads.map((payload) => hosted.kv.echo({ payload }));
    wan.cut();
    // The silence itself, not a wait for something.
    await delay(2_000);
    wan.heal();
    expect(await streamed).toEqual({ last: 200, bytes: 200_000 });
    const answers = await Promise.all(echoed);
    expect(answers.map(({ payload }) => digest(payload))).toEqual(payloads.map(digest));
  });

  test("a silence that lasts: the host is told, and the plugin ends by itself meanwhile", async () => {
    await using wan = await startWan(LINK);
    await using bench = await openSshBench({ network: wan });
    const hosted = await startKvOn(bench, { flags: ["-ignore-term", "-grandchild"], runner: BRIEF });
    const pid = Number(hosted.runner.id.split("#")[1]);
    const calls = underWay(hosted);
    await calls.begun;
    wan.cut();
    for (const cause of await calls.causes) expect(cause).toMatchObject({ code: "connection-lost" });
    expect(await causeOf(hosted.kv.get({ key: "a" }))).toMatchObject({ code: "connection-lost" });
    expect((await failureOf(hosted.client.wait())).code).toBe("connection-lost");
    expect((await failureOf(hosted.client.kill())).code).toBe("connection-lost");
    // The cable is still out: nobody but the lease can have told the box.
    await emptied(bench, pid);
    // sshd's own process does not know yet, and need not.
    bench.server?.killSessions("SIGKILL");
  });
});

/** What came of a stream: each message in its turn, to the last. */
async function counted(stream: AsyncIterable<{ n: number; payload: Uint8Array }>) {
  const sum = { last: 0, bytes: 0 };
  for await (const { n, payload } of stream) {
    expect(n).toBe(sum.last + 1);
    sum.last = n;
    sum.bytes += payload.length;
  }
  return sum;
}

async function emptied(bench: Bench, pid: number): Promise<void> {
  const left = () => [...readdirSync(bench.boxTmp), ...(isAlive(pid) ? [`plugin ${pid}`] : [])];
  await eventually(() => left().length === 0, { timeoutMs: SOON_MS, what: "the box to be empty", state: left });
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
