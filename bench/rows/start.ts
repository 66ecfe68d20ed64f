import { host } from "../hosted.ts";
import type { Bed, Row } from "./row.ts";

/** From nothing to the first answer: log in, start, agree, connect, call. */
export const cold: Row = {
  name: "cold",
  what: "from nothing to a plugin's first answer, with the SSH login",
  figures: [{ name: "cold start", unit: "ms" }],
  measure: async (bed) => startOnce(bed, bed.way.coldRunner),
};

/** The same on a connection that is there. */
export const warm: Row = {
  name: "warm",
  what: "the same on an SSH connection that is there",
  figures: [{ name: "warm start", unit: "ms" }],
  measure: async (bed) => (bed.way.startsThere ? startOnce(bed, bed.way.runner) : undefined),
};

async function startOnce({ autoMtls }: Bed, makeRunner: Bed["way"]["coldRunner"]): Promise<number[] | undefined> {
  if (!makeRunner) return undefined;
  const started = performance.now();
  await using hosted = await host(makeRunner, { program: "kv", autoMtls });
  await hosted.kv.echo({});
  return [performance.now() - started];
}
