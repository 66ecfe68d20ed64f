import { createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import type { GrpcPluginContext } from "../../src/client/plugin-set.ts";
import type { BrokerServer } from "../../src/dial/broker/broker-server.ts";
import type { GrpcBroker } from "../../src/dial/broker/grpc-broker.ts";
import { Health } from "../../src/dial/gen/health_pb.ts";
import { localKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { HostService } from "../plugins/gen/kv_pb.ts";
import { Sink } from "../plugins/gen/output_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { print, servicesOf } from "../plugins/kv-services.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { Collector } from "./collector.ts";
import { causeOf } from "./failing-calls.ts";
import { type Difference, hostKv, startKvOn } from "./started-client.ts";

const EXITED_3 = { kind: "exited", exit: { code: 3, signal: null } };

describe.skipIf(!hasTier("go"))("a plugin", { timeout: 40_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  describe.each([false, true])("that crashes, multiplexed: %s,", (grpcBrokerMultiplex) => {
    test("right after the handshake, fails the start or the first call", async () => {
      await using bench = await localKind.open();
      await using hosted = await hostKv(bench, { flags: ["-crash-after", "0"], grpcBrokerMultiplex });
      const { client } = hosted;
      // Whichever comes first: the crash, or the host.
      const failure = await client.start().then(
        () => causeOf(hosted.kv.echo({})),
        (reason) => reason,
      );
      expect(failure).toMatchObject({ code: "plugin-exited", message: expect.stringContaining("exit code 3") });
      const reason = await client.exitReason();
      expect([EXITED_3, { kind: "start-failed", error: failure }]).toContainEqual(reason);
    });

    test("in a call, fails that call and tells why", async () => {
      await using bench = await localKind.open();
      const plugins = { signal: { grpcClient: ({ signal }: GrpcPluginContext) => signal } };
      const difference = { flags: ["-crash-at-call", "3"], grpcBrokerMultiplex, plugins };
      await using hosted = await startKvOn(bench, difference);
      const { client, kv } = hosted;
      const signal = (await client.dispense("signal")) as AbortSignal;
      await kv.put({ key: "a" });
      await kv.get({ key: "a" });
      expect(await causeOf(kv.get({ key: "a" }))).toMatchObject({ code: "plugin-exited" });
      expect(await client.exitReason()).toEqual(EXITED_3);
      expect([client.exited, signal.aborted, signal.reason.code]).toEqual([true, true, "plugin-exited"]);
      expect(await causeOf(kv.get({ key: "a" }))).toMatchObject({ code: "plugin-exited" });
      expect((await failureOf(client.broker.dial(1))).message).toContain("broker closed");
    });
  });

  test("that is slow is waited for, and given up after `startTimeoutMs`", async () => {
    await using bench = await localKind.open();
    await using patient = await startKvOn(bench, { flags: ["-slow", "300"] });
    await patient.client.ping();
    // Its supervisor must be up by then, or nobody could wait for its end.
    await using hosted = await hostKv(bench, { flags: ["-slow", "60000"], startTimeoutMs: 10_000 });
    const failure = await failureOf(hosted.client.start());
    expect(failure).toMatchObject({ code: "timeout", message: "[timeout] timeout while waiting for plugin to start" });
    expect(await hosted.client.exitReason()).toEqual({ kind: "start-failed", error: failure });
    expect(await hosted.runner.wait()).toMatchObject({ code: null });
  });

  test.each<[what: string, difference: Difference, exit: object]>([
    ["obeys a Shutdown in its own time", { flags: ["-slow-shutdown", "300"] }, { code: 0, signal: null }],
    ["cleans up first", { flags: ["-slow-end", "300"] }, { code: 0, signal: null }],
    ["does not obey a Shutdown", { flags: ["-ignore-shutdown"], shutdownTimeoutMs: 200 }, { code: null }],
    ["obeys it too late", { flags: ["-slow-shutdown", "60000"], shutdownTimeoutMs: 200 }, { code: null }],
    ["never ends by itself, nor at TERM", { flags: ["-stubborn"], shutdownTimeoutMs: 200 }, { signal: "SIGKILL" }],
    ["has no Shutdown", { flags: ["-without", "controller"], shutdownTimeoutMs: 200 }, { code: null }],
  ])("that %s is gone after the kill", async (_what, difference, exit) => {
    await using bench = await localKind.open();
    const { client } = await startKvOn(bench, difference);
    await client.kill();
    const reason = await client.exitReason();
    expect(reason).toMatchObject({ kind: "killed", exit });
    expect(reason).toEqual({ kind: "killed", exit: await client.wait() });
  });

  test("that closes its output serves on, and leaves when it is asked to", async () => {
    await using bench = await localKind.open();
    const [tap, out] = [new Collector(), new Collector()];
    const hosted = await startKvOn(bench, { flags: ["-close-output"], stderr: tap, syncStdout: out });
    const services = servicesOf(hosted.client.transport);
    await eventually(() => hosted.runner.stderr.readableEnded || hosted.runner.stderr.destroyed, { what: "the end" });
    const before = tap.length;
    await print(services, Sink.PROCESS_STDERR, "nobody hears this\n");
    await print(services, Sink.STDIO_STDOUT, "but this\n");
    await eventually(() => out.text() === "but this\n", { timeoutMs: 20_000, what: "stdio", state: () => out.text() });
    expect([hosted.client.exited, tap.length]).toEqual([false, before]);
    await hosted.client.ping();
    await hosted.client.kill();
    expect(await hosted.client.exitReason()).toEqual({ kind: "killed", exit: { code: 0, signal: null } });
  });
});

describe.skipIf(!hasTier("go"))("a plugin without", () => {
  beforeAll(buildKv, 6 * 60_000);

  test("stdio is called all the same", async () => {
    await using bench = await localKind.open();
    await using hosted = await startKvOn(bench, { flags: ["-without", "stdio"], syncStdout: new Collector() });
    await hosted.client.ping();
    await hosted.kv.echo({});
  });

  test("a broker is called all the same, and says so to those who want it", async () => {
    await using bench = await localKind.open();
    await using hosted = await startKvOn(bench, { flags: ["-without", "broker"] });
    const { broker } = hosted.client;
    await hosted.kv.echo({});
    for (const ask of [broker.dial(1), serveOn(broker)]) {
      const failure = await failureOf(ask);
      expect(failure).toMatchObject({ code: "unsupported", message: expect.stringContaining("no broker") });
    }
    await hosted.client.kill();
    expect(await hosted.client.exitReason()).toEqual({ kind: "killed", exit: { code: 0, signal: null } });
  });

  test("health is called all the same, and a ping says that it does not say", async () => {
    await using bench = await localKind.open();
    await using hosted = await startKvOn(bench, { flags: ["-without", "health"] });
    await hosted.kv.echo({});
    expect(await failureOf(hosted.client.ping())).toMatchObject({
      code: "plugin-exited",
      message: expect.stringContaining("does not serve"),
    });
    await expect(createClient(Health, hosted.client.transport).check({})).rejects.toThrow("unknown service");
  });

  test("any of go-plugin's own services is called, and ended", async () => {
    await using bench = await localKind.open();
    const flags = ["-without", "stdio,broker,controller,health"];
    await using hosted = await startKvOn(bench, { flags, shutdownTimeoutMs: 200 });
    await hosted.kv.put({ key: "a", value: Buffer.from("b") });
    expect((await hosted.kv.get({ key: "a" })).value).toHaveLength(1);
  });

  test("gRPC is refused, in go-plugin's words or, if it was allowed, in ours", async () => {
    await using bench = await localKind.open();
    const flags = ["-netrpc"];
    await using refused = await hostKv(bench, { flags });
    expect(await failureOf(refused.client.start())).toMatchObject({
      code: "handshake-failed",
      message: expect.stringContaining('unsupported plugin protocol "netrpc". Supported: [grpc]'),
    });
    await using allowed = await hostKv(bench, { flags, allowedProtocols: ["netrpc", "grpc"] });
    expect(await failureOf(allowed.client.start())).toMatchObject({
      code: "unsupported",
      message: expect.stringContaining("net/rpc"),
    });
  });
});

/** Serves something by way of the broker. */
function serveOn(broker: GrpcBroker): Promise<BrokerServer> {
  return broker.acceptAndServe(broker.nextId(), (router) => {
    router.service(HostService, {});
  });
}
