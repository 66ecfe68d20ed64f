import { Readable } from "node:stream";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { formatAddress } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import {
  formatHandshakeLine,
  type HandshakeExpectations,
  type HandshakeLine,
  hasHandshakeFields,
  parseHandshakeLine,
} from "../../src/handshake/handshake-line.ts";
import { readHandshakeLine } from "../../src/handshake/read-handshake.ts";
import { heldMemory } from "../tools/memory.ts";
import { Random } from "../tools/random.ts";
import { nastyHandshake } from "./nasty-handshakes.ts";

const EXPECTATIONS: readonly HandshakeExpectations[] = [
  {},
  { versions: [1, 5] },
  { protocols: ["grpc"] },
  { versions: [1, 5], protocols: ["grpc"], multiplexed: true },
];

/** What moves a cursor or turns the direction of writing. */
const UNFIT = /[\0-\x08\x0b-\x1f\x7f-\x9f\u2028\u202e]/;

test("120,000 lines each give a handshake, or an error of the handshake that is fit to be printed", () => {
  const random = new Random(20260304);
  const lines = (count: number) => {
    const wrong: unknown[] = [];
    let taken = 0;
    for (let left = count; left > 0; left -= 1) {
      const line = nastyHandshake(random).toString();
      const outcome = settled(() => parseHandshakeLine(line, random.pick(EXPECTATIONS)));
      if (outcome instanceof Error ? !isProper(outcome) : !comesBack(outcome)) wrong.push([line, outcome]);
      if (!(outcome instanceof Error)) taken += 1;
    }
    expect(wrong).toEqual([]);
    return taken;
  };
  lines(5_000);
  const before = heldMemory();
  const taken = lines(120_000);
  // If few were taken, or nearly all, the rest would prove little.
  expect(taken).toBeGreaterThan(5_000);
  expect(taken).toBeLessThan(110_000);
  expect(heldMemory() - before).toBeLessThan(8_000_000);
}, 120_000);

test("6,000 plugins' stdout each give a line with four fields, or such an error", async () => {
  const random = new Random(20260305);
  const wrong: unknown[] = [];
  let taken = 0;
  for (let left = 6_000; left > 0; left -= 1) {
    const line = nastyHandshake(random);
    const more = random.pick(["", "\n", "\nmore\n", "\r\n"]);
    const chunks = random.cut(Buffer.concat([line, Buffer.from(more)]), random.pick([20, 1_000, 100_000]));
    const outcome = await readHandshakeLine({
      stdout: Readable.from(chunks, { objectMode: false }),
      exited: Promise.resolve({ code: 0, signal: null }),
      timeoutMs: 20_000,
      diagnose: async () => random.pick(["", "it is\x07 broken"]),
    }).catch((failure: unknown) => failure);
    if (typeof outcome === "string" ? !hasHandshakeFields(outcome) : !isProper(outcome)) wrong.push([line, outcome]);
    if (typeof outcome === "string") {
      taken += 1;
      if (outcome !== line.toString().trim()) wrong.push([line, outcome]);
    }
  }
  expect(wrong).toEqual([]);
  expect(taken).toBeGreaterThan(2_000);
}, 120_000);

/** What `task` gave or threw. */
function settled<T>(task: () => T): T | Error {
  try {
    return task();
  } catch (failure) {
    return failure as Error;
  }
}

/** An error of the handshake, of a length that can be read, without a character that moves the cursor. */
function isProper(failure: unknown): boolean {
  if (!(failure instanceof PluginError) || failure.code !== "handshake-failed") return false;
  return failure.message.length < 8_000 && !UNFIT.test(failure.message);
}

/** Whether a handshake is whole, and the same after it was written and read; no path may forge a field. */
function comesBack(handshake: HandshakeLine): boolean {
  const { appProtocolVersion, address, certificate, protocol } = handshake;
  if (!Number.isInteger(appProtocolVersion) || !["grpc", "netrpc"].includes(protocol)) return false;
  if (certificate && certificate.length < 30) return false;
  if (UNFIT.test(formatAddress(address))) return false;
  const line = settled(() => formatHandshakeLine(handshake));
  if (line instanceof Error)
    return line instanceof PluginError && line.code === "bad-options" && address.network === "unix";
  return isDeepStrictEqual(parseHandshakeLine(line), handshake);
}
