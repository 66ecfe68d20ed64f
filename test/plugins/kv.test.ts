import { realpath } from "node:fs/promises";
import { createServer } from "node:http2";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Health, HealthCheckResponse_ServingStatus } from "../../src/dial/gen/health_pb.ts";
import { ConnInfoSchema, GRPCBroker, GRPCController, GRPCStdio } from "../../src/dial/gen/plugin_pb.ts";
import { ChatMessageSchema, HostService, KV, SumRequestSchema } from "./gen/kv_pb.ts";
import { buildKv, hasGo } from "./go-plugins.ts";
import { startKv } from "./started-kv.ts";

describe.skipIf(!hasGo())("the services of kv", { timeout: 30_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  test("Put, Get and Echo", async () => {
    const { client } = await startedClient();
    await client.put({ key: "a", value: Uint8Array.of(1, 2, 255) });
    expect((await client.get({ key: "a" })).value).toEqual(Uint8Array.of(1, 2, 255));
    const payload = new Uint8Array(300_000).fill(7);
    expect(Buffer.from((await client.echo({ payload })).payload).equals(payload)).toBe(true);
  });

  test("Count, Sum and Chat", async () => {
    const { client } = await startedClient();
    const counted: [number, number][] = [];
    for await (const { n, payload } of client.count({ from: 3, to: 5, size: 10 })) counted.push([n, payload.length]);
    expect(counted).toEqual([3, 4, 5].map((n) => [n, 10]));

    const numbers = [1n, 2n, 40n].map((n) => create(SumRequestSchema, { n }));
    expect((await client.sum(each(numbers))).total).toBe(43n);

    const texts: string[] = [];
    const messages = ["one", "two"].map((text) => create(ChatMessageSchema, { text }));
    for await (const { text } of client.chat(each(messages))) texts.push(text);
    expect(texts).toEqual(["one", "two"]);
  });

  test("Inspect tells how it was started", async () => {
    const { kv, client } = await startedClient(["-slow", "1", "more", "a b"], { GREETING: "it's\nme" });
    const seen = await client.inspect({});
    expect(seen.arguments).toEqual(["-slow", "1", "more", "a b"]);
    expect(seen.environment).toMatchObject({ GREETING: "it's\nme", KV_PLUGIN_COOKIE: "kv" });
    expect(await realpath(seen.workingDirectory)).toBe(await realpath(kv.directory));
    expect(seen.pid).toBe(BigInt(kv.pid));
    expect(seen.user).not.toBe("");
    expect(seen.stdinIsDevNull).toBe(true);
  });

  test("Log reaches the stderr of the process", async () => {
    const { kv, client } = await startedClient();
    await client.log({ lines: ["first", "[WARN] second"] });
    await kv.stderr.until(/^first\n\[WARN\] second\n/m);
  });

  test("Crash exits without an answer", async () => {
    const { kv, client } = await startedClient();
    await expect(client.crash({ exitCode: 9 })).rejects.toThrow();
    expect(await kv.exited).toEqual({ code: 9, signal: null });
  });

  test("CallHost calls an address", async () => {
    const { kv, client } = await startedClient();
    const address = await serveHost(join(kv.directory, "host"));
    expect(await client.callHost({ network: "unix", address, text: "direct" })).toMatchObject({
      text: "Hello, direct",
    });
  });

  test("CallHost calls through the broker", async () => {
    const { kv, client, transport } = await startedClient();
    const address = await serveHost(join(kv.directory, "host"));
    const announcements = each([create(ConnInfoSchema, { serviceId: 5, network: "unix", address })], true);
    const ended = new AbortController();
    onTestFinished(() => ended.abort());
    const broker = createClient(GRPCBroker, transport).startStream(announcements, { signal: ended.signal });
    broker[Symbol.asyncIterator]()
      .next()
      .catch(() => {});
    expect(await client.callHost({ brokerId: 5, text: "broker" })).toMatchObject({ text: "Hello, broker" });
  });

  test("go-plugin's own services answer", async () => {
    const { kv, transport } = await startedClient();
    const health = await createClient(Health, transport).check({ service: "plugin" });
    expect(health.status).toBe(HealthCheckResponse_ServingStatus.SERVING);
    const stdio = createClient(GRPCStdio, transport).streamStdio({})[Symbol.asyncIterator]().next();
    const over = expect(stdio).rejects.toThrow();
    await createClient(GRPCController, transport)
      .shutdown({})
      .catch(() => {});
    expect(await kv.exited).toEqual({ code: 0, signal: null });
    await over;
  });
});

async function startedClient(flags: string[] = [], environment: Record<string, string> = {}) {
  const kv = await startKv(flags, environment);
  const transport = await kv.dial();
  return { kv, transport, client: createClient(KV, transport) };
}

/** Serves HostService on a unix socket until the test is over. */
async function serveHost(path: string): Promise<string> {
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => {
        router.service(HostService, { greet: ({ text }) => ({ text: `Hello, ${text}` }) });
      },
    }),
  );
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(path, resolve));
  onTestFinished(() => void server.close());
  return path;
}

/** Sends each message; with `open`, never ends then. */
async function* each<T>(messages: T[], open = false): AsyncGenerator<T> {
  yield* messages;
  if (open) await new Promise(() => {});
}
