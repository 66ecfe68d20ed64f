// A host that starts many plugins at once through one pool, calls each, and ends them all. It says how long that took,
// what the pool looked like meanwhile, and how much memory a running plugin takes here. Run with --expose-gc.
import { createClient } from "@connectrpc/connect";
import type { ConnectionPoolOptions, Destination, PoolStats, SshRunnerOptions } from "../../src/index.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { begin, say } from "./orders.ts";

/** What the test wants. */
export interface ManyOrders {
  destination: Destination;
  pool: ConnectionPoolOptions;
  runner: Pick<SshRunnerOptions, "command" | "directoryBase">;
  plugins: number;
}

/** What came of it. */
export interface Many {
  /** What the pool looked like when all had answered, and when all had ended. */
  running: PoolStats;
  ended: PoolStats;
  /** Until all were started and had answered, and until all had ended. */
  startMs: number;
  stopMs: number;
  /** What a running plugin holds here, with its share in the connections. */
  bytesPerPlugin: number;
  /** How many gave the right answer, and how many are known to have ended. */
  answers: number;
  exits: number;
}

const { orders, index, client: library } = await begin<ManyOrders>();
const pool = new index.ConnectionPool(orders.pool);
// What is made once is no plugin's.
await (await startOne(0)).client.kill();
const before = held();

const began = performance.now();
const plugins = await Promise.all(Array.from({ length: orders.plugins }, (_, n) => startOne(n)));
const startMs = performance.now() - began;
const running = pool.stats();
const bytesPerPlugin = (held() - before) / orders.plugins;

const ending = performance.now();
await Promise.all(plugins.map(({ client }) => client.kill()));
const exits = await Promise.all(plugins.map(({ client }) => client.wait()));
const stopMs = performance.now() - ending;
const said: Many = {
  running,
  ended: pool.stats(),
  startMs,
  stopMs,
  bytesPerPlugin,
  answers: plugins.filter(({ isRight }) => isRight).length,
  exits: exits.length,
};
await pool.close();
say(said);

async function startOne(n: number) {
  const client = new library.Client({
    handshakeConfig: { protocolVersion: 1, magicCookieKey: "KV_PLUGIN_COOKIE", magicCookieValue: "kv" },
    runnerFunc: ({ environment }) =>
      new index.SshRunner({ pool, destination: orders.destination, ...orders.runner, environment }),
    startTimeoutMs: 120_000,
  });
  const kv = createClient(KV, await client.start());
  const payload = Buffer.from(`plugin ${n}`);
  const { payload: answer } = await kv.echo({ payload });
  return { client, isRight: payload.equals(answer) };
}

function held(): number {
  globalThis.gc?.();
  globalThis.gc?.();
  const { heapUsed, arrayBuffers, external } = process.memoryUsage();
  return heapUsed + Math.max(arrayBuffers, external);
}
