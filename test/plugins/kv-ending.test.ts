import { createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { GRPCController } from "../../src/dial/gen/plugin_pb.ts";
import { buildKv, hasGo } from "./go-plugins.ts";
import { servicesOf } from "./kv-services.ts";
import { startKv } from "./started-kv.ts";

describe.skipIf(!hasGo())("how kv ends, with", { timeout: 30_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  test("-crash-at-call and -crash-code, at that call of its own services", async () => {
    const { kv, services, shutdown } = await started(["-crash-at-call", "3", "-crash-code", "41", "-ignore-shutdown"]);
    await services.kv.put({ key: "a" });
    await shutdown();
    await services.kv.get({ key: "a" });
    await expect(services.kv.get({ key: "a" })).rejects.toThrow();
    expect(await kv.exited).toEqual({ code: 41, signal: null });
  });

  test("-ignore-shutdown, not at Shutdown", async () => {
    const { services, shutdown } = await started(["-ignore-shutdown"]);
    await shutdown();
    expect(await services.kv.version({})).toMatchObject({ version: 1 });
  });

  test("-slow-shutdown, late, and it serves until then", async () => {
    // Longer than a call takes on the busiest machine.
    const { kv, services, shutdown } = await started(["-slow-shutdown", "5000"]);
    const startedAt = performance.now();
    const over = shutdown().catch(() => {});
    await services.kv.version({});
    expect(await kv.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(4_999);
    await over;
  });

  test("-slow-end, late, when it serves no more", async () => {
    const { kv, services, shutdown } = await started(["-slow-end", "300"]);
    const startedAt = performance.now();
    await shutdown().catch(() => {});
    await kv.stderr.until(/^kv: cleaning up$/m);
    await expect(services.kv.version({})).rejects.toThrow();
    expect(await kv.exited).toEqual({ code: 0, signal: null });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(299);
  });

  test("-stubborn, neither at Shutdown nor of SIGTERM", async () => {
    const { kv, shutdown } = await started(["-stubborn"]);
    await shutdown().catch(() => {});
    await kv.stderr.until(/^kv: cleaning up$/m);
    process.kill(kv.pid, "SIGTERM");
    process.kill(kv.pid, "SIGHUP");
    // In the time that another plugin needs to start and to die of it, this one would have died too.
    const usual = await started([]);
    process.kill(usual.kv.pid, "SIGTERM");
    expect(await usual.kv.exited).toEqual({ code: null, signal: "SIGTERM" });
    process.kill(kv.pid, "SIGKILL");
    expect(await kv.exited).toEqual({ code: null, signal: "SIGKILL" });
  });
});

async function started(flags: string[]) {
  const kv = await startKv(flags);
  const transport = await kv.dial();
  const controller = createClient(GRPCController, transport);
  return { kv, services: servicesOf(transport), shutdown: () => controller.shutdown({}) };
}
