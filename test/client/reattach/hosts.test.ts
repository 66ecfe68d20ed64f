import { existsSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { ReattachConfig } from "../../../src/contract/reattach.ts";
import { type Bench, localKind } from "../../contract/runner-kinds.ts";
import type { KvOrders } from "../../hosts/kv-host.ts";
import { buildKv } from "../../plugins/go-plugins.ts";
import { startKv } from "../../plugins/started-kv.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { built } from "../../tools/built.ts";
import { eventually, isAlive } from "../../tools/leaks.ts";
import { startHost } from "../../tools/start-host.ts";
import { programOn } from "../program-on.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;

/** A plugin that was killed would leave its socket, so it is given the time to end by itself. */
const SHUTDOWN_MS = 30_000;

/** What a host says once it has called the plugin. */
interface Told {
  pid: number;
  value: string;
  config: ReattachConfig;
}

describe.skipIf(!hasTier("go"))("go: a plugin that one host has started", () => {
  beforeAll(buildKv, BUILD_MS);

  test("is taken over by another from JSON and ended with its socket, and the first one notices", async () => {
    await using bench = await localKind.open();
    const first = await startFirst(bench);
    const [{ pid, config }] = (await first.lines<Told>(1)) as [Told];
    const path = pathOf(config);
    expect([isAlive(pid), existsSync(path)]).toEqual([true, true]);

    const second = await visit(bench, { reattach: config, deed: "kill" });
    expect(second).toEqual([{ pid, value: "of the first", config }, { kind: "killed" }]);
    expect([isAlive(pid), existsSync(path)]).toEqual([false, false]);
    expect((await first.lines(2))[1]).toEqual({ kind: "exited" });
    expect(await first.ended).toMatchObject({ code: 0, stderr: "" });
  });

  test("lives on, for its own host too, when another lets go of it in test mode", async () => {
    await using bench = await localKind.open();
    const first = await startFirst(bench);
    const [{ pid, config }] = (await first.lines<Told>(1)) as [Told];
    const reattach = { ...config, test: true };
    for (const put of ["of the second", "of the third"]) {
      const told = await visit(bench, { reattach, put, deed: "kill" });
      expect(told).toEqual([{ pid, value: put, config: reattach }, { kind: "killed" }]);
      expect([isAlive(pid), existsSync(pathOf(config))]).toEqual([true, true]);
    }
    expect(first.child.exitCode).toBe(null);
    expect(await visit(bench, { reattach: config, deed: "kill" })).toMatchObject([{ value: "of the third" }, {}]);
    expect(await first.ended).toMatchObject({ code: 0, stderr: "" });
  });
});

describe.skipIf(!hasTier("go"))("go: a plugin in go-plugin's own test mode", () => {
  beforeAll(buildKv, BUILD_MS);

  test("is found by what it prints for TF_REATTACH_PROVIDERS, and lives on", async () => {
    const kv = await startKv(["-reattach"], {}, { stdin: "pipe" });
    await using bench = await localKind.open();
    const reattach = JSON.parse(await kv.stdout.until(/^\{.*\}$/m));
    expect(reattach).toMatchObject({ Protocol: "grpc", Test: true, Pid: kv.pid });
    for (const put of ["one", "two"]) {
      const [told, end] = await visit(bench, { reattach, put, deed: "kill" });
      expect(told).toMatchObject({ pid: kv.pid, value: put, config: { test: true } });
      expect([end, isAlive(kv.pid)]).toEqual([{ kind: "killed" }, true]);
    }
    kv.endInput();
    expect(await kv.exited).toEqual({ code: 0, signal: null });
  });

  test("is ended if what it printed is changed to say that it is no test", async () => {
    const kv = await startKv(["-reattach"], {}, { stdin: "pipe" });
    await using bench = await localKind.open();
    const printed = JSON.parse(await kv.stdout.until(/^\{.*\}$/m));
    await visit(bench, { reattach: { ...printed, Test: false }, deed: "kill" });
    await eventually(() => !isAlive(kv.pid), { what: "the plugin to be gone", timeoutMs: 20_000 });
  });
});

/** A host that starts a plugin without certificates and waits for its end. */
async function startFirst(bench: Bench) {
  return startHost("kv-host", built(), bench.hostTmp, {
    runner: { local: true, command: [await programOn(bench, "kv", "1.8")], directoryBase: bench.boxTmp },
    options: { autoMtls: false, shutdownTimeoutMs: SHUTDOWN_MS },
    put: "of the first",
    deed: "wait",
  });
}

/** What another host says from its start to its end, which must be a good one. */
async function visit(bench: Bench, orders: KvOrders): Promise<unknown[]> {
  const options = { shutdownTimeoutMs: SHUTDOWN_MS };
  const host = await startHost("kv-host", built(), bench.hostTmp, { options, ...orders });
  expect(await host.ended).toMatchObject({ code: 0, stderr: "" });
  return host.lines(2);
}

function pathOf({ addr }: ReattachConfig): string {
  return addr.network === "unix" ? addr.path : "";
}
