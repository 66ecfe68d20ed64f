import { beforeAll, describe, expect, test } from "vitest";
import { connectTo, opensshKind } from "../contract/runner-kinds.ts";
import type { CycleOrders, Figures } from "../hosts/many-cycles.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { hostProgram, libraryIn } from "../tools/host-program.ts";
import { runNode } from "../tools/run-node.ts";
import { programOn } from "./program-on.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;
/** Three times what it takes on two cores that others keep busy. */
const LIMIT_MS = 8 * 60_000;
const CYCLES = 1000;
/** The engine goes on to compile, some 1.5 MB in a thousand cycles; a client that is not let go holds 50 KB. */
const GROWTH_BYTES = 4_000_000;
/** Fewer than one object in ten cycles. */
const GROWTH_OBJECTS = CYCLES / 10;

/** What the host says at its end. */
interface Said {
  first: Figures;
  last: Figures;
  elapsedMs: number;
  cpuMs: number;
}

describe.skipIf(!hasTier("go") || !hasTier("openssh"))("go, openssh: a host that goes on and on", () => {
  beforeAll(buildKv, BUILD_MS);

  test("holds on to nothing of a thousand plugins, all over one connection", { timeout: LIMIT_MS }, async () => {
    await using bench = await opensshKind().open();
    if (!bench.server) throw new TypeError("This bench has no server.");
    const { destination, ...connect } = connectTo(bench.server);
    const orders: CycleOrders = {
      destination,
      connect,
      runner: { command: [await programOn(bench, "kv", "1.8")], directoryBase: bench.boxTmp },
      directories: [bench.boxTmp, bench.hostTmp],
      warmUp: 40,
      cycles: CYCLES,
      atOnce: 4,
    };
    const env = {
      PATH: process.env.PATH ?? "",
      TMPDIR: bench.hostTmp,
      ORDERS: JSON.stringify({ library: libraryIn(built()), orders }),
    };
    const args = ["--expose-gc", "--no-warnings", await hostProgram("many-cycles")];
    const ended = await runNode(args, { env, timeoutMs: LIMIT_MS - 10_000 });
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const { first, last, elapsedMs, cpuMs } = JSON.parse(ended.stdout) as Said;
    const took = `${Math.round(elapsedMs)} ms, ${Math.round(cpuMs)} ms of them the host's own work`;
    console.log(`${CYCLES} cycles in ${took}\n${JSON.stringify(first)}\n${JSON.stringify(last)}`);

    const { heapBytes, bufferBytes, cycles, objects } = last;
    const [before, after] = [countsOf(first), countsOf(last)];
    // What the warm-up left may still have been closing when it was counted, so there may be less.
    expect(Object.entries(after).filter(([name, count]) => count > (before[name] ?? 0))).toEqual([]);
    expect(cycles).toBe(first.cycles + CYCLES);
    const more = objects.map((count, kind) => count - (first.objects[kind] ?? 0));
    expect(Math.max(...more), String(more)).toBeLessThan(GROWTH_OBJECTS);
    expect(heapBytes + bufferBytes - first.heapBytes - first.bufferBytes).toBeLessThan(GROWTH_BYTES);
  });
});

/** What must not grow at all, by name. */
function countsOf({ channels, handles, descriptors, files, listeners }: Figures): Record<string, number> {
  return { channels, handles, descriptors, files, ...listeners };
}
