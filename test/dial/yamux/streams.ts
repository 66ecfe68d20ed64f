import { createHash } from "node:crypto";
import type { Readable } from "node:stream";

/** Everything that comes until the end. Unlike iteration it leaves the stream's other half alone. */
export function collect(stream: Readable): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => resolve(Buffer.concat(chunks)));
    stream.on("error", reject);
    stream.on("close", () => reject(new Error("It was closed before its end.")));
  });
}

/** What a stream fails with. */
export function failureOf(stream: Readable): Promise<Error> {
  if (stream.errored) return Promise.resolve(stream.errored);
  return new Promise((resolve, reject) => {
    stream.on("error", resolve);
    stream.on("close", () => reject(new Error("It was closed without a failure.")));
  });
}

/** Bytes that look random, and are the same each time. */
export function bytes(length: number, seed = 1): Buffer {
  const block = createHash("sha512").update(String(seed)).digest();
  const all = Buffer.alloc(length, block);
  for (let at = 0; at + 4 <= length; at += 64) all.writeUInt32LE((at ^ seed) >>> 0, at);
  return all;
}

/** A generator of numbers from 0 up to `below`, the same each time (Marsaglia's xorshift). */
export function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0 || 1;
  return (below) => {
    state ^= state << 13;
    state >>>= 0;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state % below;
  };
}
