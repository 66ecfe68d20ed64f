import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../../src/connect/pool.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { type Bench, connectTo, openSshBench } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { restartOpenSsh } from "../servers/restart-openssh.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually, processesWith } from "../tools/leaks.ts";

const LIMIT_MS = 5 * 60_000;
const PLUGINS = 100;
/** So many have started when the box goes away. */
const BEFORE = 20;

describe.skipIf(!hasTier("openssh"))("openssh: a box that is restarted amid a hundred starts", () => {
  test("each start ends, those that had started are told, and all goes on", { timeout: LIMIT_MS }, async () => {
    await using bench = await openSshBench({});
    if (!bench.server) throw new TypeError("This bench has no server.");
    const { destination, ...options } = connectTo(bench.server);
    await using pool = new ConnectionPool(options);
    const runners = Array.from({ length: PLUGINS }, () => {
      const command = bench.command("stays.sh");
      const runner = new SshRunner({ pool, destination, command, directoryBase: bench.boxTmp, killGraceMs: 1000 });
      runner.stderr.resume();
      return runner;
    });
    const started: SshRunner[] = [];
    const outcomes = runners.map(async (runner) => {
      try {
        await runner.start();
        started.push(runner);
        return "started";
      } catch (failure) {
        return failure instanceof PluginError ? failure.code : failure;
      }
    });
    await eventually(() => started.length >= BEFORE, { what: "some to be started", timeoutMs: 2 * 60_000 });
    const told = started.map((runner) => failureOf(runner.wait()));
    await using restarted = await restartOpenSsh(bench.server);

    expect(new Set((await Promise.all(told)).map(({ code }) => code))).toEqual(new Set(["connection-lost"]));
    const counts: Record<string, number> = {};
    for (const outcome of await Promise.all(outcomes)) counts[String(outcome)] = (counts[String(outcome)] ?? 0) + 1;
    console.log(`${told.length} had started, then: ${JSON.stringify(counts)}\n${pool}`);
    const expected = ["started", "connection-lost", "connect-failed", "box-refused"];
    expect(Object.keys(counts).filter((outcome) => !expected.includes(outcome))).toEqual([]);

    // What comes next finds the new server.
    const next = new SshRunner({ pool, destination, command: bench.command("stays.sh"), directoryBase: bench.boxTmp });
    await next.start();
    await next.kill();
    await Promise.all(runners.map((runner) => runner.kill().catch((failure) => failure.code)));
    expect(pool.stats()).toMatchObject({ sessions: 0, waiting: 0 });
    await pool.close();
    await nothingLeft(bench, () => restarted.sessionPids());
  });
});

async function nothingLeft(bench: Bench, sessions: () => number[]): Promise<void> {
  const left = () => [...processesWith(`${bench.directory}/`), ...sessions()];
  await eventually(() => left().length === 0, { what: "nothing to be left", timeoutMs: 30_000, state: left });
}
