import { beforeAll, describe, expect, test } from "vitest";
import { programOn } from "../client/program-on.ts";
import { type Bench, connectTo, openSshBench } from "../contract/runner-kinds.ts";
import type { Many, ManyOrders } from "../hosts/many-plugins.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { hostProgram, libraryIn } from "../tools/host-program.ts";
import { runNode } from "../tools/run-node.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;
const LIMIT_MS = 6 * 60_000;
const PLUGINS = 100;

describe.skipIf(!hasTier("go") || !hasTier("openssh"))("go, openssh: a hundred plugins on one box", () => {
  beforeAll(buildKv, BUILD_MS);

  test.each([
    ["sshd's own limits", ["MaxSessions 10", "MaxStartups 10:30:100"], 10],
    ["MaxSessions 1", ["MaxSessions 1"], PLUGINS],
    ["MaxStartups 3:50:5", ["MaxStartups 3:50:5"], 10],
    ["MaxSessions 1 and MaxStartups 3:50:5", ["MaxSessions 1", "MaxStartups 3:50:5"], PLUGINS],
  ])("start, answer and stop with %s", { timeout: LIMIT_MS }, async (what, options, connections) => {
    await using bench = await openSshBench({ options });
    const many = await runMany(bench);
    const [box] = many.running.boxes;
    const { opened, refused, dropped, retried } = box?.totals ?? {};
    console.log(
      `${what}: ${many.running.connections} connections (${opened} opened), ${many.running.sessions} sessions, ` +
        `${refused} sessions refused, ${dropped} dropped, ${retried} retried, ${box?.handshakes.atOnce} at once; ` +
        `start ${Math.round(many.startMs)} ms, stop ${Math.round(many.stopMs)} ms, ` +
        `${Math.round(many.bytesPerPlugin / 1024)} KiB per plugin`,
    );
    expect(many).toMatchObject({ answers: PLUGINS, exits: PLUGINS });
    expect(many.running).toMatchObject({ sessions: PLUGINS, waiting: 0 });
    // One or two more may have been made while the limit was being learnt; nobody uses them, and they are closed.
    expect(many.running.connections).toBeGreaterThanOrEqual(connections);
    expect(many.running.connections).toBeLessThanOrEqual(connections + 2);
    expect(many.ended).toMatchObject({ sessions: 0, waiting: 0 });
  });
});

async function runMany(bench: Bench): Promise<Many> {
  if (!bench.server) throw new TypeError("This bench has no server.");
  const { destination, ...pool } = connectTo(bench.server);
  const orders: ManyOrders = {
    destination,
    pool,
    runner: { command: [await programOn(bench, "kv", "1.8")], directoryBase: bench.boxTmp },
    plugins: PLUGINS,
  };
  const env = {
    PATH: process.env.PATH ?? "",
    TMPDIR: bench.hostTmp,
    ORDERS: JSON.stringify({ library: libraryIn(built()), orders }),
  };
  const args = ["--expose-gc", await hostProgram("many-plugins")];
  const ended = await runNode(args, { env, timeoutMs: LIMIT_MS - 20_000 });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  return JSON.parse(ended.stdout) as Many;
}
