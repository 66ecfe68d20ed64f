import { readdirSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { type Bench, connectTo, localKind, opensshKind, type RunnerKind } from "../contract/runner-kinds.ts";
import type { KvOrders } from "../hosts/kv-host.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { eventually, processesWith } from "../tools/leaks.ts";
import { startHost } from "../tools/start-host.ts";
import { programOn } from "./program-on.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;

/** A plugin that has children and leaves neither when it is asked to nor by a TERM. */
const STUBBORN = ["-grandchild", "-daemon-grandchild", "-ignore-term", "-ignore-shutdown"];

const KINDS: [name: string, kind: RunnerKind, available: boolean][] = [
  [localKind.name, localKind, hasTier("go")],
  [opensshKind().name, opensshKind(), hasTier("go") && hasTier("openssh")],
];

describe.each(KINDS)("go, %s: a host with a real plugin", (_name, kind, available) => {
  describe.skipIf(!available)("that ends", () => {
    beforeAll(buildKv, BUILD_MS);

    test.each([
      ["SIGTERM", []],
      ["SIGINT", STUBBORN],
    ] as const)("by %s with a managed client is gone after its plugin %o", async (signal, flags) => {
      await using bench = await kind.open();
      const host = await start(bench, flags, { managed: true }, "wait");
      expect(plugins(bench).length).toBeGreaterThan(0);
      host.child.kill(signal);
      expect(await host.ended).toMatchObject({ code: null, signal, stderr: "" });
      // The host has waited for it, so there is nothing to wait for.
      expect([plugins(bench), readdirSync(bench.boxTmp), readdirSync(bench.hostTmp)]).toEqual([[], [], []]);
    });

    test("by process.exit() in the middle of a call takes its plugin along", async () => {
      await using bench = await kind.open();
      const host = await start(bench, STUBBORN, {}, "exit");
      expect(await host.ended).toMatchObject({ code: 7, stderr: "" });
      const left = () => [...plugins(bench), ...readdirSync(bench.boxTmp), ...readdirSync(bench.hostTmp)];
      await eventually(() => left().length === 0, { what: "nothing to be left", timeoutMs: 20_000, state: left });
    });
  });
});

/** A host whose plugin runs and has been called. */
async function start(bench: Bench, flags: readonly string[], options: KvOrders["options"], deed: KvOrders["deed"]) {
  const command = [await programOn(bench, "kv", "1.8"), ...flags] as const;
  const plugin = { command, directoryBase: bench.boxTmp, killGraceMs: 1000 };
  const host = await startHost("kv-host", built(), bench.hostTmp, {
    runner: bench.server ? { ...plugin, ...connectTo(bench.server) } : { ...plugin, local: true },
    options: { shutdownTimeoutMs: 1000, ...options },
    deed,
  });
  await host.lines(1);
  return host;
}

/** The plugin and its children. */
function plugins(bench: Bench): string[] {
  return processesWith(`${bench.directory}/kv`).map(({ pid, cmdline }) => `${pid}: ${cmdline}`);
}
