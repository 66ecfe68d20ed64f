import { EventEmitter } from "node:events";
import { setImmediate as turn } from "node:timers/promises";
import { queryObjects } from "node:v8";
import PQueue from "p-queue";
import { expect, test } from "vitest";
import { LeasedConnection } from "../../src/connect/pool/leased-connection.ts";
import { Link } from "../../src/connect/pool/link.ts";
import { ConnectionPool, type Lease } from "../../src/connect/pool.ts";
import { SshConnection } from "../../src/connect/ssh-connection.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { eventually } from "../tools/eventually.ts";
import { heldMemory } from "../tools/memory.ts";
import { Random } from "../tools/random.ts";
import { destinationOf, optionsFor } from "./login.ts";
import { leavesNoTrace } from "./traces.ts";

const LEASES = 10_000;
/** What is made once is made by then. */
const WARM_UP = 2_000;
const AT_ONCE = 50;
/** After so many all is quiet for a while, and the connections are closed. */
const BETWEEN_LULLS = 500;
const SEED = 20_260;
/** The server in this process and the engine keep some of their own, but not so much. */
const GROWTH_BYTES = 4_000_000;
const PASSWORD = "plugh-hunter2";
const USERS = ["ann", "bob", "cid", "dan", "eve", "fay"];
/** What must be gone with its lease or its connection, and what no lease may leave behind. */
const OURS = [LeasedConnection, Link, SshConnection, PluginError];
const NODES = [AbortController, AbortSignal, Promise, EventEmitter, PQueue];

/** How many of each kind live; Node before 20.13 cannot count. */
function count(kinds: readonly (new (...args: never[]) => unknown)[]): number[] {
  return kinds.map((kind) => queryObjects?.(kind as never, { format: "count" }) ?? 0);
}

test("ten thousand leases with aborts, commands and lost connections leave nothing", { timeout: 600_000 }, async () => {
  const passwords = Object.fromEntries(USERS.map((user) => [user, PASSWORD]));
  await using server = await startEmbedded({ maxSessions: 3, authorizedKeys: [], passwords });
  // Node warns of it once, which is no trace of ours.
  count(NODES);
  await turn();
  await leavesNoTrace(async () => {
    const pool = new ConnectionPool({
      ...optionsFor(server),
      configFile: "none",
      password: () => PASSWORD,
      idleTimeoutMs: 20,
    });
    const random = new Random(SEED);
    const outcomes: Record<string, number> = {};
    let begun = 0;
    const worker = async (until: number) => {
      while (begun < until) {
        begun += 1;
        if (begun % 1000 === 250) server.embedded.resetConnections();
        const outcome = await once(pool, random);
        outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
      }
    };
    const until = async (leases: number) => {
      while (begun < leases) {
        const next = begun + BETWEEN_LULLS;
        await Promise.all(Array.from({ length: AT_ONCE }, () => worker(next)));
        await eventually(() => pool.size === 0, { what: "what nobody uses to be closed" });
      }
    };

    await until(WARM_UP);
    const before = { bytes: heldMemory(), objects: count(NODES) };
    await until(LEASES);
    const grown = heldMemory() - before.bytes;
    const stats = pool.stats();
    console.log(`${JSON.stringify(outcomes)}\n${pool}\n${Math.round(grown / 1024)} KiB more after ${LEASES} leases`);

    expect(stats).toMatchObject({ sessions: 0, waiting: 0 });
    for (const box of stats.boxes) for (const { leases } of box.connections) expect(leases).toBe(0);
    expect(Object.keys(outcomes)).toEqual(
      expect.arrayContaining(["aborted", "closed", "connection-lost", "leased", "ran"]),
    );
    expect(Object.keys(outcomes)).not.toContain("a command after the end");
    const more = count(NODES).map((number, kind) => number - (before.objects[kind] ?? 0));
    expect(Math.max(...more), String(more)).toBeLessThan(LEASES / 50);
    expect(grown).toBeLessThan(GROWTH_BYTES);
    await eventually(() => server.embedded.connections === 0, { what: "what nobody uses to be closed" });
    await eventually(() => expect(count(OURS)).toEqual(OURS.map(() => 0)) ?? true, { what: "all of it to be gone" });
    await pool.close();
    expect(pool.size).toBe(0);
  });
  expect(server.embedded.channels).toBe(0);

  /** One lease, from asking for it to giving it back, or to giving up somewhere on the way. */
  async function once(pool: ConnectionPool, random: Random): Promise<string> {
    const giveUp = new AbortController();
    const patience = random.below(4) === 0 ? random.below(12) : Number.POSITIVE_INFINITY;
    if (patience === 0) giveUp.abort();
    const runs = random.below(20) === 0;
    const turns = random.below(4);
    const user = random.pick(USERS);
    let lease: Lease | undefined;
    const task = async () => {
      lease = await pool.lease({ ...destinationOf(server), user }, giveUp.signal);
      for (let left = turns; left > 0; left -= 1) await turn();
      if (!runs) return giveUp.signal.aborted ? "aborted" : "leased";
      const channel = await lease.connection.exec("exit 3", giveUp.signal);
      channel.stdin.end();
      channel.stdout.resume();
      channel.stderr.resume();
      await channel.closed;
      return lease.connection.lost.aborted ? "connection-lost" : "ran";
    };
    const running = task().catch((failure) => {
      if (failure instanceof PluginError) return failure.code;
      throw failure;
    });
    const over = running.then(() => giveUp.abort());
    for (let left = patience; left > 0 && Number.isFinite(left) && !giveUp.signal.aborted; left -= 1) await turn();
    if (Number.isFinite(patience)) giveUp.abort();
    await over;
    // Some give it back at once, some in a while, some twice, and one in a while asks for more after that.
    if (random.below(3) === 0) await turn();
    lease?.release();
    if (lease && random.below(10) === 0) {
      lease.release();
      return lease.connection.exec("true").then(
        () => "a command after the end",
        (failure) => failure.code,
      );
    }
    return running;
  }
});
