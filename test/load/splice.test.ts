import { createHash } from "node:crypto";
import type { ClientHttp2Session, ServerHttp2Stream } from "node:http2";
import { finished } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { Lifetime } from "../../src/lifetime/lifetime.ts";
import type { SplicerOrders } from "../hosts/splicer.ts";
import { eventually } from "../tools/eventually.ts";
import { startBetween } from "./splicer.ts";

const MIB = 1024 * 1024;
/** How long the one message is that goes each way. */
const BULK = Number(process.env.GO_PLUGIN_SSH_TEST_LOAD_MIB ?? 1024) * MIB;
/** Node itself has some 50 MiB. */
const PEAK_MB = 200;
/** What is sent at once where ways are compared. */
const PART = BULK / 16;
const BLOCK = Buffer.alloc(64 * 1024, "what is in a message ");

describe("a splice", { timeout: 600_000 }, () => {
  test("carries a message of a gibibyte each way, and holds next to nothing of it", async () => {
    const heard: string[] = [];
    await using between = await startBetween("splice", async (stream) => {
      stream.respond({ ":status": 200, "content-type": "application/grpc" });
      heard.push(await take(stream));
      heard.push(await give(stream, BULK));
    });
    const stream = between.client.request({ ":method": "POST", ":path": "/big" });
    const sent = await give(stream, BULK);
    const received = await take(stream);
    expect(heard).toEqual([sent, received]);
    const peakMb = await between.peakMb();
    expect(peakMb).toBeLessThan(PEAK_MB);
    say(`a message of ${BULK / MIB} MiB each way: the splice's memory peaked at ${peakMb} MiB`);
  });

  test("holds next to nothing of what nobody reads, on any of 200 streams", async () => {
    const held: ServerHttp2Stream[] = [];
    await using between = await startBetween("splice", (stream) => {
      stream.respond({ ":status": 200 });
      held.push(stream);
    });
    const streams = Array.from({ length: 200 }, (_, nth) => {
      return between.client.request({ ":method": "POST", ":path": `/${nth}` }).on("error", () => {});
    });
    await eventually(() => held.length === 200, { what: "all streams" });
    const before = await between.peakMb();
    for (const stream of streams) stream.end(Buffer.alloc(4 * MIB, "x"));
    const pong = () => new Promise((resolve) => between.client.ping(resolve));
    for (let nth = 0; nth < 50; nth++) await pong();
    expect((await between.peakMb()) - before).toBeLessThan(50);
    const lengths = held.map((stream) => take(stream));
    expect(new Set(await Promise.all(lengths)).size).toBe(1);
  });

  test("costs less than a proxy of two ends; by how much is told", async () => {
    const ways: (SplicerOrders["how"] | "direct")[] = ["direct", "copy", "splice", "proxy"];
    await using all = new Lifetime();
    const found = [];
    for (const how of ways) {
      const between = await startBetween(how, async (stream, path) => {
        stream.respond({ ":status": 200 });
        if (path === "/down") await give(stream, PART, false);
        else stream.pipe(stream);
      });
      await all.own(between, (each) => each[Symbol.asyncDispose]());
      found.push({ how, between, unaryUs: [] as number[], mbPerSecond: [] as number[] });
    }
    // In turns, so that whatever else the machine does is nobody's alone. The first turn does not count.
    for (let turn = 0; turn < 6; turn++) {
      for (const { between, unaryUs, mbPerSecond } of found) {
        const result = [await unary(between.client), await down(between.client)] as const;
        if (turn === 0) continue;
        unaryUs.push(result[0]);
        mbPerSecond.push(result[1]);
      }
    }
    for (const { how, between, unaryUs, mbPerSecond } of found) {
      const peakMb = await between.peakMb();
      say(`${how}: a small call ${median(unaryUs)} µs, ${median(mbPerSecond)} MB/s, ${peakMb} MiB`);
      expect(unaryUs).toHaveLength(5);
    }
  });
});

/** The median of many small calls, one after the other. */
async function unary(client: ClientHttp2Session): Promise<number> {
  const took: number[] = [];
  for (let nth = 0; nth < 500; nth++) {
    const began = performance.now();
    const stream = client.request({ ":method": "POST", ":path": "/echo", te: "trailers" });
    stream.end("a small message");
    stream.resume();
    await finished(stream);
    took.push(performance.now() - began);
  }
  return Math.round(median(took) * 1000);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;
}

async function down(client: ClientHttp2Session): Promise<number> {
  const began = performance.now();
  const stream = client.request({ ":method": "POST", ":path": "/down" });
  stream.end();
  let length = 0;
  stream.on("data", (chunk: Buffer) => {
    length += chunk.length;
  });
  await finished(stream);
  expect(length).toBe(PART + 5);
  return Math.round(length / 1000 / (performance.now() - began));
}

/** Sends one message of gRPC with so many bytes, no two blocks alike, and ends; gives the digest. */
async function give(stream: NodeJS.WritableStream, total: number, isHashed = true): Promise<string> {
  const hash = createHash("sha256");
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(total, 1);
  stream.write(prefix);
  hash.update(prefix);
  for (let sent = 0; sent < total; sent += BLOCK.length) {
    const block = Buffer.from(BLOCK);
    block.writeUIntBE(sent, 0, 6);
    if (isHashed) hash.update(block);
    if (!stream.write(block)) await new Promise((resolve) => stream.once("drain", resolve));
  }
  stream.end();
  return hash.digest("hex");
}

/** Reads to the end and gives the digest. */
function take(stream: NodeJS.ReadableStream): Promise<string> {
  const hash = createHash("sha256");
  return new Promise((resolve, reject) => {
    stream.on("data", (chunk: Buffer) => hash.update(chunk));
    stream.on("end", () => resolve(hash.digest("hex")));
    stream.on("error", reject);
  });
}

function say(text: string): void {
  process.stdout.write(`load: ${text}\n`);
}
