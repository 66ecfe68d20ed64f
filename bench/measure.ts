import { Lifetime } from "../src/lifetime/lifetime.ts";
import type { Box } from "./box.ts";
import { type Hosted, host, type Manner } from "./hosted.ts";
import type { Line, NetworkResult, Score } from "./result.ts";
import { isTime } from "./result.ts";
import type { Bed, Row, Scale } from "./rows/row.ts";
import { median } from "./statistics.ts";
import { openWays } from "./ways/open-ways.ts";
import { WAY_NAMES, type Way, type WayName } from "./ways/way.ts";

/** What is measured, and how. */
export interface Plan {
  readonly network: NetworkResult["name"];
  readonly rows: readonly Row[];
  readonly ways: readonly WayName[];
  readonly scale: Scale;
  readonly rounds: number;
  /** Rounds whose figures are thrown away, for what is slow the first time only. */
  readonly warmUps: number;
  readonly autoMtls: boolean;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
}

/** For each row and way the samples of each round. */
type Samples = Map<Row, Map<WayName, (readonly number[])[]>>;

/** Measures every row over every way to one box, in rounds, so that noise hits all the same. */
export async function measure(box: Box, plan: Plan): Promise<NetworkResult> {
  const lifetime = new Lifetime();
  try {
    const ways = await openWays(box);
    for (const way of ways) await lifetime.own(way, (one) => one[Symbol.asyncDispose]());
    const beds = ways.filter(({ name }) => plan.ways.includes(name)).map((way) => bedOf(way, plan, lifetime));
    const samples: Samples = new Map(plan.rows.map((row) => [row, new Map(WAY_NAMES.map((name) => [name, []]))]));
    for (let round = -plan.warmUps; round < plan.rounds; round += 1) await measureRound(round, beds, plan, samples);
    return {
      name: plan.network,
      roundTripMs: box.line?.roundTripMs ?? 0,
      rounds: plan.rounds,
      lines: plan.rows.flatMap((row) => linesOf(row, samples)),
    };
  } finally {
    await lifetime.close();
  }
}

function bedOf(way: Way, { scale, autoMtls }: Plan, lifetime: Lifetime): Bed {
  const plugins = new Map<string, Promise<Hosted>>();
  const begin = async (manner: Manner) =>
    lifetime.own(await host(way.runner, manner), (plugin) => plugin[Symbol.asyncDispose]());
  const hosted = (manner: Manner) => {
    const key = JSON.stringify(manner);
    const plugin = plugins.get(key) ?? begin(manner);
    plugins.set(key, plugin);
    return plugin;
  };
  return { way, scale, autoMtls, hosted };
}

/** One sample of each. Who is first changes from round to round, so that nobody always comes after the same one. */
async function measureRound(round: number, beds: readonly Bed[], plan: Plan, samples: Samples): Promise<void> {
  const shift = (round + plan.warmUps) % beds.length;
  const order = [...beds.slice(shift), ...beds.slice(0, shift)];
  for (const row of plan.rows) {
    const name = round < 0 ? "warming up" : `round ${round + 1} of ${plan.rounds}`;
    plan.progress(`${plan.network}, ${name}: ${row.name}`);
    for (const bed of order) {
      plan.signal.throwIfAborted();
      // What the one before has left is not to be swept during this one's turn.
      globalThis.gc?.();
      const taken = await row.measure(bed);
      if (taken && round >= 0) samples.get(row)?.get(bed.way.name)?.push(taken);
    }
  }
}

function linesOf(row: Row, samples: Samples): Line[] {
  const ways = samples.get(row);
  return row.figures.map((figure, n) => {
    const of = (name: WayName) => (ways?.get(name) ?? []).map((taken) => taken[n] ?? Number.NaN);
    const compared = of("ssh -L");
    const scores = WAY_NAMES.map((name) => [name, scoreOf(of(name), compared, isTime(figure))]);
    return { row: row.name, figure: figure.name, unit: figure.unit, ways: Object.fromEntries(scores) };
  });
}

/** Rounds are compared each with its own: the n-th sample of one way with the n-th of the other. */
function scoreOf(values: readonly number[], compared: readonly number[], time: boolean): Score | null {
  if (values.length === 0) return null;
  const quotients = values.map((value, n) => {
    const other = compared[n] ?? Number.NaN;
    return time ? value / other : other / value;
  });
  return {
    median: median(values),
    lowest: Math.min(...values),
    highest: Math.max(...values),
    ratio: compared.length === values.length ? median(quotients) : null,
  };
}
