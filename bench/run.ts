import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOpenSsh } from "../test/servers/openssh.ts";
import { boxOf } from "./box.ts";
import { lookAround } from "./circumstances.ts";
import type { Asked } from "./command-line.ts";
import { openLongLine } from "./delayed.ts";
import { measure } from "./measure.ts";
import type { BenchResult, NetworkResult } from "./result.ts";
import { ROWS } from "./rows/rows.ts";
import { scaleFor } from "./scales.ts";

const ROUND_TRIP_MS = 100;
/** A long line is steadier than the machine at its ends, and takes longer. */
const ROUNDS = { loopback: 5, wan: 3 };
/** Rounds that do not count, for what is slow the first time only. */
const WARM_UPS = { loopback: 1, wan: 0 };

/** Starts a server, measures all that was asked for and leaves nothing behind. */
export async function run(asked: Asked, progress: (text: string) => void, signal: AbortSignal): Promise<BenchResult> {
  const circumstances = lookAround(asked);
  // Short, because sockets are made below it.
  const directory = await mkdtemp(join(tmpdir(), "gpb"));
  try {
    const sshd = [`Ciphers ${asked.cipher}`, "MaxSessions 100", "MaxStartups 100"];
    await using server = await startOpenSsh({ options: sshd, logLevel: "INFO" });
    const networks: NetworkResult[] = [];
    for (const network of asked.networks) {
      const plan = {
        network,
        rows: ROWS.filter(({ name }) => asked.only.length === 0 || asked.only.includes(name)),
        ways: asked.ways,
        scale: scaleFor(network, asked.quick),
        rounds: asked.rounds || (asked.quick ? 1 : ROUNDS[network]),
        warmUps: asked.quick ? 0 : WARM_UPS[network],
        autoMtls: asked.autoMtls,
        signal,
        progress,
      };
      await using line = network === "wan" ? await openLongLine(ROUND_TRIP_MS) : undefined;
      networks.push(await measure(await boxOf(server, directory, line), plan));
    }
    return { circumstances: circumstances(), networks };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
