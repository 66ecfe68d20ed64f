import { createHash, type Hash } from "node:crypto";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { collect, numbers } from "./streams.ts";

/** What the opener of a stream writes first, and both sides then do: see `test/plugins/go/yamuxpeer/plan.go`. */
export interface Plan {
  kind: number;
  there: number;
  back: number;
  chunk: number;
  seed: number;
}

export const KINDS = { answered: 0, echoed: 1, stalled: 2, dropped: 3, crossed: 4, timedOut: 5 };
const PLAN_BYTES = 20;

/** What one side saw of all streams, as the Go program prints it. */
export class Report {
  Sent = 0;
  Received = 0;
  SentDigest = 0;
  ReceivedDigest = 0;
  Whole = 0;
  Reset = 0;
  Left = 0;
  Failures: string[] = [];

  whole(sent: Sum, received: Sum): void {
    this.Whole += 1;
    this.Sent += sent.bytes;
    this.Received += received.bytes;
    this.SentDigest = (this.SentDigest + sent.digest()) >>> 0;
    this.ReceivedDigest = (this.ReceivedDigest + received.digest()) >>> 0;
  }
}

/** Counts and digests bytes. */
class Sum {
  bytes = 0;
  readonly #hash: Hash = createHash("sha256");

  add(bytes: Buffer): void {
    this.bytes += bytes.length;
    this.#hash.update(bytes);
  }

  digest(): number {
    return this.#hash.digest().readUInt32BE(0);
  }
}

/** The plans of `count` streams: small most of the time, larger than a window now and then. */
export function plans(count: number, seed: number, kinds: readonly number[]): Plan[] {
  const next = numbers(seed);
  const size = () => {
    const choice = next(64);
    if (choice === 0) return next(600_000);
    if (choice <= 4) return next(60_000);
    return choice <= 6 ? 0 : next(3_000);
  };
  return Array.from({ length: count }, () => {
    const kind = kinds[next(kinds.length)] as number;
    return { kind, there: size(), back: size(), chunk: 1 + next(40_000), seed: next(1 << 30) };
  });
}

/** Opens a stream's plan: writes it and does the opener's part. */
export async function doOpened(stream: Duplex, plan: Plan, report: Report): Promise<void> {
  const bytes = Buffer.alloc(PLAN_BYTES);
  for (const [index, value] of [plan.kind, plan.there, plan.back, plan.chunk, plan.seed].entries()) {
    bytes.writeUInt32BE(value, 4 * index);
  }
  stream.write(bytes);
  await work(stream, plan, true, report);
}

/** Reads a stream's plan and does the acceptor's part. */
export async function doAccepted(stream: Duplex, report: Report): Promise<void> {
  const bytes = await new Promise<Buffer>((resolve, reject) => {
    const look = () => {
      const bytes = stream.read(PLAN_BYTES) as Buffer | null;
      if (!bytes) return;
      stream.off("readable", look);
      resolve(bytes);
    };
    stream.on("readable", look);
    stream.on("error", reject);
  });
  const [kind = 0, there = 0, back = 0, chunk = 0, seed = 0] = [0, 4, 8, 12, 16].map((at) => bytes.readUInt32BE(at));
  await work(stream, { kind, there, back, chunk, seed }, false, report);
}

async function work(stream: Duplex, plan: Plan, isOpener: boolean, report: Report): Promise<void> {
  const [sent, received] = [new Sum(), new Sum()];
  const write = () => writeContent(stream, isOpener ? plan.there : plan.back, plan, sent);
  const read = async () => received.add(await collect(stream));
  if (plan.kind === KINDS.dropped) {
    report.Reset += 1;
    return drop(stream, plan);
  }
  if (plan.kind === KINDS.timedOut) {
    report.Reset += 1;
    stream.resume();
    await new Promise((resolve) => stream.on("error", resolve));
    return;
  }
  if (plan.kind === KINDS.crossed || (plan.kind === KINDS.echoed && isOpener)) {
    await Promise.all([write().then(() => stream.end()), read()]);
  } else if (plan.kind === KINDS.echoed) {
    stream.pipe(stream);
    stream.on("data", (chunk: Buffer) => {
      sent.add(chunk);
      received.add(chunk);
    });
    await new Promise<void>((resolve, reject) => stream.on("finish", resolve).on("error", reject));
  } else if (isOpener) {
    await write();
    stream.end();
    await read();
  } else {
    if (plan.kind === KINDS.stalled) await delay(plan.seed % 20);
    await read();
    await write();
    stream.end();
  }
  report.whole(sent, received);
}

/** Resets the stream at once, or in the middle of what both write. */
async function drop(stream: Duplex, plan: Plan): Promise<void> {
  let rest = plan.seed % 5_000;
  await new Promise<void>((resolve) => {
    stream.on("data", (chunk: Buffer) => {
      rest -= chunk.length;
      if (rest <= 0) resolve();
    });
    stream.on("end", resolve);
    stream.on("error", () => resolve());
    stream.write(Buffer.alloc(plan.seed % 3_000), () => {
      if (plan.seed % 2 === 0) resolve();
    });
    setTimeout(resolve, 50);
  });
  stream.destroy();
}

async function writeContent(stream: Duplex, length: number, { chunk, seed }: Plan, sum: Sum): Promise<void> {
  const next = numbers(seed | 1);
  for (let rest = length; rest > 0; rest -= chunk) {
    const bytes = Buffer.alloc(Math.min(chunk, rest));
    for (let at = 0; at < bytes.length; at += 1) {
      bytes[at] = at % 64 === 0 ? next(256) : (bytes[at - 1] as number) + 7;
    }
    sum.add(bytes);
    if (!stream.write(bytes)) await new Promise((resolve) => stream.once("drain", resolve).once("close", resolve));
  }
}
