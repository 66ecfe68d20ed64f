import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type Bench, connectTo, embeddedKind, opensshKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import { startProxy, type TcpProxy } from "../tools/proxy.ts";
import { causeOf, underWay } from "./failing-calls.ts";
import { GrpcJs } from "./generic-grpc-js.ts";
import { type Difference, type Hosted, hostKv, startKvOn } from "./started-client.ts";

/** Lease, grace, and what a loaded machine adds. */
const SOON_MS = 30_000;

/**
 * Short, so that a test sees it happen; the defaults are a minute, five seconds and 45 seconds. But a link is not lost
 * because a process is held up for some seconds before the cut.
 */
const BRIEF = {
  leaseMs: 8_000,
  heartbeatIntervalMs: 400,
  killGraceMs: 1_000,
  serverAliveIntervalMs: 2_500,
  serverAliveCountMax: 3,
};

/** A plugin that is hard to end, because nobody may have to come back for it. */
const STUBBORN = ["-ignore-term", "-grandchild", "-daemon-grandchild"];

const CUTS: Record<string, (proxy: TcpProxy) => void> = {
  "is reset": (proxy) => proxy.reset(),
  "is closed": (proxy) => proxy.fin(),
  "goes silent": (proxy) => proxy.freeze(),
};

describe.each([
  [embeddedKind.name, embeddedKind, hasTier("go")],
  [opensshKind().name, opensshKind(), hasTier("go") && hasTier("openssh")],
] as const)("%s: a link that", (_name, kind, available) => {
  describe.skipIf(!available)("breaks", () => {
    beforeAll(buildKv, 6 * 60_000);

    test.each(Object.keys(CUTS))("%s fails every call, and the plugin ends", async (cut) => {
      await using bench = await kind.open();
      await using proxy = await startProxy(need(bench));
      const hosted = await startKvOn(bench, over(bench, proxy, { flags: STUBBORN }));
      using grpcJs = new GrpcJs(await hosted.client.grpcTarget());
      const counting = grpcJs.serverStream(KV.method.count, { from: 1, to: 2 ** 31 - 1, size: 10 });
      const counted = expect(counting).rejects.toMatchObject({ code: expect.any(Number) });
      const calls = underWay(hosted);
      await calls.begun;

      CUTS[cut]?.(proxy);
      for (const cause of await calls.causes) expect(cause).toMatchObject({ code: "connection-lost" });
      await counted;
      expect(await causeOf(hosted.kv.get({ key: "a" }))).toMatchObject({ code: "connection-lost" });
      expect((await failureOf(hosted.client.wait())).code).toBe("connection-lost");
      expect((await failureOf(hosted.client.kill())).code).toBe("connection-lost");
      await nothingOnTheBox(bench, hosted);
    });

    test("while the plugin is being killed", async () => {
      await using bench = await kind.open();
      await using proxy = await startProxy(need(bench));
      const hosted = await startKvOn(bench, over(bench, proxy, { flags: STUBBORN, shutdownTimeoutMs: 300 }));
      proxy.freeze();
      expect((await failureOf(hosted.client.kill())).code).toBe("connection-lost");
      await nothingOnTheBox(bench, hosted);
    });

    test.each(Object.keys(CUTS))("and %s while the handshake is waited for", async (cut) => {
      await using bench = await kind.open();
      await using proxy = await startProxy(need(bench));
      const hosted = await hostKv(bench, over(bench, proxy, { flags: [...STUBBORN, "-silent"] }));
      const starting = failureOf(hosted.client.start());
      await eventually(() => hosted.runners[0]?.id !== undefined && hosted.runners[0].id !== "", {
        what: "the plugin to run",
      });
      CUTS[cut]?.(proxy);
      expect((await starting).code).toBe("connection-lost");
      await nothingOnTheBox(bench, hosted);
      await hosted.client.kill().catch(() => {});
    });
  });

  describe.skipIf(!available)("heals", () => {
    test("loses nothing", async () => {
      await using bench = await kind.open();
      await using proxy = await startProxy(need(bench));
      await using hosted = await startKvOn(bench, {
        runner: connectTo(need(bench), proxy.port),
      });
      proxy.freeze();
      const calls = Array.from({ length: 10 }, (_, n) => hosted.kv.echo({ payload: Buffer.alloc(100_000, n) }));
      await new Promise((resolve) => setTimeout(resolve, 1000));
      proxy.thaw();
      const answers = await Promise.all(calls);
      expect(answers.map(({ payload }, n) => Buffer.alloc(100_000, n).equals(payload))).not.toContain(false);
    });
  });
});

/** A client whose connection goes through the proxy. */
function over(bench: Bench, proxy: TcpProxy, difference: Difference): Difference {
  return { ...difference, runner: { ...connectTo(need(bench), proxy.port), ...BRIEF } };
}

async function nothingOnTheBox(bench: Bench, hosted: Hosted): Promise<void> {
  const pid = Number(hosted.runner.id.split("#")[1]);
  const left = () => [...readdirSync(bench.boxTmp), ...(isAlive(pid) ? [`plugin ${pid}`] : [])];
  await eventually(() => left().length === 0, { timeoutMs: SOON_MS, what: "the box to be empty", state: left });
}

function need(bench: Bench) {
  if (!bench.server) throw new TypeError("This bench has no server.");
  return bench.server;
}
