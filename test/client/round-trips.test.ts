import { createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { type Event, Story, tripsOf } from "../../bench/round-trips/story.ts";
import { listenToWire } from "../../bench/round-trips/wire.ts";
import { Client } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { PluginOptions } from "../../src/runner/plugin-options.ts";
import { SpareSupervisors } from "../../src/runner/spare-supervisors.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { type Bench, connectTo, openSshBench } from "../contract/runner-kinds.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { startWan, type Wan } from "../tools/wan.ts";
import { programOn } from "./program-on.ts";
import { HANDSHAKE } from "./started-client.ts";

/**
 * So long that the work of a step, on a loaded machine too, is a fraction of it. After a second without an answer TCP
 * connects again, and begins more slowly then.
 */
const ROUND_TRIP_MS = 700;
/** A loaded machine may take longer for a step now and then, but nothing can take less: the shortest of each counts. */
const ATTEMPTS = 30;

/** From the call of `start` to the answer of the first call, over TLS. On a quiet machine the first is 14. */
const COLD = 15;
const WARM = 6;
const SPARE = 4;

const available = ["netns", "go", "accounts"].every(hasTier);

describe.skipIf(!available)("netns, go: round trips of a start, to the first answer", { timeout: 600_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  test("from nothing", async () => {
    await using far = await openFarBox();
    const trips = await lowest(COLD, async (story) => {
      await using pool = far.pool();
      await far.start(pool, story);
    });
    expect(trips).toBeLessThanOrEqual(COLD);
  });

  test.each([
    ["AutoMTLS", {}],
    ["one connection for all (multiplexed)", { grpcBrokerMultiplex: true }],
    ["plaintext", { autoMtls: false as const }],
  ])("on a connection that is there, with %s", async (_name, options) => {
    await using far = await openFarBox();
    await using pool = far.pool();
    // The connection is there, and what its server says after the login.
    await far.start(pool, new Story(), options);
    expect(await lowest(WARM, (story) => far.start(pool, story, options))).toBeLessThanOrEqual(WARM);
  });

  test.each([
    ["AutoMTLS", {}],
    ["one connection for all (multiplexed)", { grpcBrokerMultiplex: true }],
  ])("with a supervisor that waits, with %s", async (_name, options) => {
    await using far = await openFarBox();
    await using pool = far.pool();
    await using lease = await pool.lease(far.destination);
    const spares = SpareSupervisors.of(lease.connection);
    await far.start(pool, new Story(), options, { spareSupervisors: 1 });
    const trips = await lowest(SPARE, async (story) => {
      await eventually(() => spares.size === 1, { what: "a supervisor to wait", timeoutMs: 20_000 });
      await far.start(pool, story, options, { spareSupervisors: 1 });
    });
    expect(trips).toBeLessThanOrEqual(SPARE);
  });
});

/** A box at the other end of a long link. */
interface FarBox extends AsyncDisposable {
  readonly destination: { host: string; port: number; user: string };
  pool(): ConnectionPool;
  /** Starts a plugin, calls it and ends it; has the story told up to the answer. */
  start(
    pool: ConnectionPool,
    story: Story,
    options?: Partial<ClientOptions>,
    runner?: { spareSupervisors?: number },
  ): Promise<void>;
}

async function openFarBox(): Promise<FarBox> {
  const wan = await startWan({ delayMs: ROUND_TRIP_MS / 2, lossPercent: 0, rateMbit: 0 });
  const bench = await openBenchOn(wan);
  const { server } = bench;
  if (!server) throw new TypeError("This bench has no server.");
  const { destination, ...connect } = connectTo(server);
  const command: PluginOptions["command"] = [await programOn(bench, "kv", "1.8")];
  return {
    destination,
    pool: () => new ConnectionPool(connect),
    start: async (pool, story, options, runner) => {
      story.begin();
      await using client = new Client({
        handshakeConfig: HANDSHAKE,
        runnerFunc: ({ environment }) =>
          new SshRunner({ pool, destination, command, environment, directoryBase: bench.boxTmp, ...runner }),
        ...options,
      } as ClientOptions);
      const kv = createClient(KV, await client.start());
      await kv.echo({});
      story.note("first answer");
    },
    [Symbol.asyncDispose]: async () => {
      await bench[Symbol.asyncDispose]();
      await wan[Symbol.asyncDispose]();
    },
  };
}

/** An account whose login shell reads nothing first: what a machine's own account does there takes time. */
async function openBenchOn(wan: Wan): Promise<Bench> {
  try {
    return await openSshBench({ network: wan, account: { home: "/" } });
  } catch (failure) {
    await wan[Symbol.asyncDispose]();
    throw failure;
  }
}

/** The round trips of a few starts; no more are made once these are as few as expected. */
async function lowest(expected: number, start: (story: Story) => Promise<void>): Promise<number> {
  const story = new Story();
  const stopListening = listenToWire(story);
  try {
    const starts: (readonly Event[])[] = [];
    let trips = Number.POSITIVE_INFINITY;
    while (starts.length < ATTEMPTS && trips > expected) {
      await start(story);
      starts.push([...story.events]);
      trips = tripsOf(starts, ROUND_TRIP_MS).at(-1)?.at ?? 0;
    }
    return trips;
  } finally {
    stopListening();
  }
}
