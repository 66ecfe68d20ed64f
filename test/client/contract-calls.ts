import { randomBytes } from "node:crypto";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { describe, expect, test } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import type { Bench, RunnerKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { ChatMessageSchema, HostService, KV, SumRequestSchema } from "../plugins/gen/kv_pb.ts";
import { GrpcJs } from "./generic-grpc-js.ts";
import { type Difference, each, hostKv, startKvOn } from "./started-client.ts";

const TWENTY_MEGABYTES = 20_000_000;
/** What many megabytes may take where host, server and plugin share two busy cores. */
const LONG = { timeout: 240_000 };

/** How a plugin may be reached. */
const WAYS: [name: string, difference: Difference][] = [
  ["a unix socket, AutoMTLS", {}],
  ["a TCP port, AutoMTLS", { flags: ["-tcp"] }],
  ["a unix socket, no TLS", { autoMtls: false }],
  ["a TCP port, no TLS", { flags: ["-tcp"], autoMtls: false }],
];

/** What calls do. */
export function callContract(kind: RunnerKind): void {
  describe.each(WAYS)("calls by %s", (_name, difference) => {
    test("of each kind, by Connect", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench, difference);
      const { kv } = hosted;
      const value = randomBytes(300_000);
      await kv.put({ key: "a", value });
      expect(Buffer.compare((await kv.get({ key: "a" })).value, value)).toBe(0);
      expect(ConnectError.from(await kv.get({ key: "b" }).catch((failure) => failure)).code).toBe(Code.NotFound);

      const counted: number[] = [];
      for await (const { n } of kv.count({ from: 3, to: 7, size: 10 })) counted.push(n);
      expect(counted).toEqual([3, 4, 5, 6, 7]);
      expect((await kv.sum(each([1n, 2n, 40n].map((n) => create(SumRequestSchema, { n }))))).total).toBe(43n);

      const answers: string[] = [];
      const messages = ["one", "two", "three"].map((text) => create(ChatMessageSchema, { text }));
      for await (const { text } of kv.chat(each(messages))) answers.push(text);
      expect(answers).toEqual(["one", "two", "three"]);
      await hosted.client.ping();
    });

    test("with messages of 20 MB, by Connect", LONG, async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench, difference);
      const lengths: number[] = [];
      for await (const { payload } of hosted.kv.count({ from: 1, to: 3, size: TWENTY_MEGABYTES })) {
        lengths.push(payload.length);
      }
      expect(lengths).toEqual([TWENTY_MEGABYTES, TWENTY_MEGABYTES, TWENTY_MEGABYTES]);
      // grpc-go's own limit, which the plugin has not raised; the connection lives on.
      const refused = await hosted.kv.echo({ payload: Buffer.alloc(TWENTY_MEGABYTES) }).catch((failure) => failure);
      expect(ConnectError.from(refused).code).toBe(Code.ResourceExhausted);
      const payload = randomBytes(4_000_000);
      expect(Buffer.compare((await hosted.kv.echo({ payload })).payload, payload)).toBe(0);
    });

    test("of each kind and of 20 MB, by grpc-js", LONG, async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench, difference);
      using grpcJs = new GrpcJs(await hosted.client.grpcTarget());
      const value = randomBytes(300_000);
      await grpcJs.unary(KV.method.put, { key: "a", value });
      expect(Buffer.compare((await grpcJs.unary(KV.method.get, { key: "a" })).value, value)).toBe(0);
      await expect(grpcJs.unary(KV.method.get, { key: "b" })).rejects.toMatchObject({ code: Code.NotFound });
      const counted = await grpcJs.serverStream(KV.method.count, { from: 1, to: 2, size: TWENTY_MEGABYTES });
      expect(counted.map(({ n, payload }) => [n, payload.length])).toEqual([
        [1, TWENTY_MEGABYTES],
        [2, TWENTY_MEGABYTES],
      ]);
      expect((await grpcJs.clientStream(KV.method.sum, [{ n: 1n }, { n: 41n }])).total).toBe(42n);
      const answers = await grpcJs.bidirectional(KV.method.chat, [{ text: "one" }, { text: "two" }]);
      expect(answers.map(({ text }) => text)).toEqual(["one", "two"]);
    });
  });

  describe("calls", () => {
    test("reach the plugin that was started, with what it was started with", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench, {
        flags: ["-slow", "1", "an argument"],
        runner: { environment: { GREETING: "it's\nme" }, directory: bench.boxTmp },
      });
      const seen = await hosted.kv.inspect({});
      expect(seen.arguments).toEqual(["-slow", "1", "an argument"]);
      expect(seen.environment).toMatchObject({ GREETING: "it's\nme", KV_PLUGIN_COOKIE: "kv" });
      expect(seen.workingDirectory).toBe(bench.boxTmp);
      expect(seen.stdinIsDevNull).toBe(true);
      expect(`#${seen.pid}`).toBe(hosted.client.id.slice(hosted.client.id.indexOf("#")));
      expect(seen.user).toBe(bench.server?.user ?? process.env.USER ?? "root");
      expect(hosted.client.negotiatedVersion).toBe(1);
    });

    test("run at once, and each ends by its own signal", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench);
      const giveUp = new AbortController();
      const endless = collect(hosted.kv.count({ from: 1, to: 2 ** 31 - 1, size: 1000 }, { signal: giveUp.signal }));
      const echoes = Array.from({ length: 50 }, (_, n) => hosted.kv.echo({ payload: Buffer.from(`${n}`) }));
      expect((await Promise.all(echoes)).map(({ payload }) => Buffer.from(payload).toString())).toEqual(
        echoes.map((_, n) => `${n}`),
      );
      giveUp.abort();
      expect(ConnectError.from(await endless.catch((failure) => failure)).code).toBe(Code.Canceled);
      await hosted.client.ping();
    });

    test("by any number of clients of any service", async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench);
      const [one, other] = [createClient(KV, hosted.client.transport), createClient(KV, hosted.client.transport)];
      await one.put({ key: "k", value: Buffer.from("v") });
      expect(Buffer.from((await other.get({ key: "k" })).value).toString()).toBe("v");
    });
  });

  callbackContract(kind);

  describe("before the start", () => {
    test("there is nothing to call", async () => {
      await using bench = await kind.open();

      await using hosted = await hostKv(bench);
      expect(() => hosted.client.transport).toThrow(expect.objectContaining({ code: "closed" }));
      for (const ask of [hosted.client.ping(), hosted.client.grpcTarget(), hosted.client.wait()]) {
        expect((await failureOf(ask)).code).toBe("closed");
      }
      expect([hosted.client.id, hosted.client.negotiatedVersion]).toEqual(["", undefined]);
    });
  });
}

/** The plugin calls its host. */
export function callbackContract(kind: RunnerKind): void {
  test.each(["unix", "tcp"] as const)("calls come back to the host's own service, on %s", async (network) => {
    await using bench = await kind.open();
    await using host = await serveHost(bench, network);
    await using hosted = await startKvOn(bench);
    const address = await hosted.runner.hostToPlugin(host.address);
    const at =
      address.network === "unix"
        ? { network: "unix", address: address.path }
        : { network: "tcp", address: `${address.host}:${address.port}` };
    for (const text of ["first", "second"]) {
      expect((await hosted.kv.callHost({ ...at, text })).text).toBe(`Hello, ${text}`);
    }
  });
}

async function collect<T>(values: AsyncIterable<T>): Promise<number> {
  let count = 0;
  for await (const _ of values) count += 1;
  return count;
}

/** The host's own service, for the plugin to call. */
async function serveHost(bench: Bench, network: "unix" | "tcp") {
  const server = createServer(
    connectNodeAdapter({
      routes: (router) => {
        router.service(HostService, { greet: ({ text }) => ({ text: `Hello, ${text}` }) });
      },
    }),
  );
  const path = join(bench.directory, "host");
  await new Promise<void>((resolve) => {
    if (network === "unix") server.listen(path, resolve);
    else server.listen(0, "127.0.0.1", resolve);
  });
  const address: Address =
    network === "unix"
      ? { network, path }
      : { network, host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  return { address, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}
