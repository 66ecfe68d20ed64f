import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Lifetime } from "../../src/lifetime/lifetime.ts";
import { startOpenSsh } from "../../test/servers/openssh.ts";
import { hasTier } from "../../test/tiers/tiers.ts";
import { startWan } from "../../test/tools/wan.ts";
import { boxOf } from "../box.ts";
import { lookAround } from "../circumstances.ts";
import type { Asked } from "../command-line.ts";
import type { Circumstances } from "../result.ts";
import { type Event, lastOf, Story, type Trip, tripsOf } from "./story.ts";
import { openWays } from "./ways.ts";
import { listenToWire } from "./wire.ts";

const ROUND_TRIPS_MS = [50, 200];
const ROUNDS = 5;

/** One way on one link. */
export interface Journey {
  readonly roundTripMs: number;
  readonly way: string;
  /** From the call to the answer, in the quickest start. */
  readonly tookMs: number;
  /** What was waited for, as far as it can be seen. */
  readonly trips: readonly Trip[];
}

/** What `npm run bench -- --round-trips --json` prints. */
export interface RoundTrips {
  readonly circumstances: Circumstances;
  readonly journeys: readonly Journey[];
}

/** Whether this machine can make long links. */
export function canCount(): boolean {
  return hasTier("netns");
}

/** Counts the round trips of starts on long links of this machine, and leaves nothing behind. */
export async function countRoundTrips(
  asked: Asked,
  progress: (text: string) => void,
  signal: AbortSignal,
): Promise<RoundTrips> {
  const circumstances = lookAround({ ...asked, autoMtls: true });
  const rounds = asked.rounds || (asked.quick ? 1 : ROUNDS);
  const journeys: Journey[] = [];
  for (const roundTripMs of asked.quick ? ROUND_TRIPS_MS.slice(-1) : ROUND_TRIPS_MS) {
    journeys.push(...(await onLink(roundTripMs, { rounds, cipher: asked.cipher, progress, signal })));
  }
  return { circumstances: circumstances(), journeys };
}

interface Plan {
  readonly rounds: number;
  readonly cipher: string;
  readonly progress: (text: string) => void;
  readonly signal: AbortSignal;
}

async function onLink(roundTripMs: number, { rounds, cipher, progress, signal }: Plan): Promise<Journey[]> {
  const story = new Story();
  const stopListening = listenToWire(story);
  const lifetime = new Lifetime();
  try {
    const directory = await lifetime.own(await mkdtemp(join(tmpdir(), "gpb")), (path) => rm(path, { recursive: true }));
    const network = await lifetime.own(await startWan({ delayMs: roundTripMs / 2, lossPercent: 0, rateMbit: 0 }), end);
    // A login shell that reads nothing first: what an account does there is work, and none of ours.
    const account = hasTier("accounts") ? { account: { home: "/" } } : {};
    const options = [`Ciphers ${cipher}`, "MaxSessions 100", "MaxStartups 100"];
    const server = await lifetime.own(await startOpenSsh({ options, network, ...account, logLevel: "INFO" }), end);
    const box = await boxOf(server, directory);
    const journeys: Journey[] = [];
    for (const way of openWays(box, story)) {
      await lifetime.own(way, end);
      const starts: (readonly Event[])[] = [];
      for (let round = 1; round <= rounds; round += 1) {
        signal.throwIfAborted();
        progress(`${roundTripMs} ms, ${way.name}, ${round} of ${rounds}`);
        await way.go(story);
        starts.push([...story.events]);
      }
      const tookMs = Math.min(...starts.map(lastOf));
      journeys.push({ roundTripMs, way: way.name, tookMs, trips: tripsOf(starts, roundTripMs) });
    }
    return journeys;
  } finally {
    stopListening();
    await lifetime.close();
  }
}

function end(thing: AsyncDisposable): PromiseLike<void> {
  return thing[Symbol.asyncDispose]();
}
