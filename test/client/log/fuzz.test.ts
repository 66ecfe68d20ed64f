import { createHash } from "node:crypto";
import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { logText } from "../../../src/client/log/log-text.ts";
import { LOG_LEVELS } from "../../../src/client/log/logger.ts";
import { readPluginLog } from "../../../src/client/log/read-plugin-log.ts";
import { heldMemory } from "../../tools/memory.ts";
import { Random } from "../../tools/random.ts";
import { nastyLine } from "./nasty-lines.ts";
import { type Call, Recorder } from "./recorder.ts";

const ROUNDS = 60;
const LINES = 2_000;

test("120,000 nasty lines: each is logged once, nothing of it is lost, and the tap gets every byte", async () => {
  const random = new Random(20260301);
  await round(random);
  const before = heldMemory();
  let understood = 0;
  for (let n = 1; n < ROUNDS; n += 1) understood += await round(random);
  // If few were understood, the rest would prove little.
  expect(understood).toBeGreaterThan(15_000);
  expect(heldMemory() - before).toBeLessThan(8_000_000);
}, 115_000);

/** Reads some lines twice, once with a logger that wants only part of them; gives how many were understood as JSON. */
async function round(random: Random): Promise<number> {
  const lines = random.times(LINES, () => nastyLine(random));
  const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
  const all = await read(bytes, random, new Recorder());
  expect(all).toHaveLength(lines.length);
  const wrong = lines.filter((line, n) => !keeps(all[n] as Call, line));
  expect(wrong.map(String)).toEqual([]);

  const picky = new Recorder(random.pick(LOG_LEVELS));
  const wanted = all.filter(({ level }) => picky.isEnabled(level));
  expect(isDeepStrictEqual(await read(bytes, random, picky), wanted)).toBe(true);
  return all.filter(({ fields }) => fields).length;
}

/** The calls of the logger for `bytes`, of which the tap must get every one. */
async function read(bytes: Buffer, random: Random, logger: Recorder): Promise<Call[]> {
  const chunks = random.cut(bytes, random.pick([500, 40_000, 200_000]));
  const copy = createHash("sha256");
  const write = (chunk: Buffer, _encoding: string, done: () => void) => {
    copy.update(chunk);
    if (random.below(10) === 0) setImmediate(done);
    else done();
  };
  const tap = new Writable({ highWaterMark: random.pick([1, 16_384]), write });
  await readPluginLog({ stderr: Readable.from(chunks, { objectMode: false }), logger, name: "plugin", tap });
  await once(tap.end(), "finish");
  expect(copy.digest("hex")).toBe(createHash("sha256").update(bytes).digest("hex"));
  return logger.calls;
}

/** Whether everything that is in `line` is in the call for it, and can be printed as one entry. */
function keeps({ level, message, fields }: Call, line: Buffer): boolean {
  const printed = logText(level, "kv", message, fields);
  if (/[\0-\x08\x0b-\x1f]|\n(?! {2})/.test(printed)) return false;
  const text = line.toString().replace(/\r$/, "");
  if (!fields) return message === text;
  const { "@level": named, "@message": said = "", "@timestamp": at, ...object } = JSON.parse(text);
  if (said !== message || named.trim().toLowerCase() !== level) return false;
  const { timestamp, ...others } = fields as Record<string, unknown>;
  const { timestamp: own = "0001-01-01", ...rest } = object;
  const date = (time: unknown) => (typeof time === "string" ? time.slice(0, 10) : time);
  return isDeepStrictEqual(others, rest) && isDeepStrictEqual(date(timestamp), date(at ?? own));
}
