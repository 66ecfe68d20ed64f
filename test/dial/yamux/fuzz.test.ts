import { Duplex } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { PluginError } from "../../../src/contract/errors.ts";
import { YamuxSession } from "../../../src/dial/yamux/yamux-session.ts";
import { header } from "./raw-peer.ts";
import { Referee } from "./referee.ts";
import { numbers } from "./streams.ts";

const SEQUENCES = 100_000;
/** How much memory may grow from the first half of the sequences to the second, in bytes. */
const GROWTH = 4 * 1024 * 1024;
const SPARE = Buffer.alloc(300_000, "fuzz");
const FLAGS = [0, 0, 0, 0, 1, 1, 2, 2, 3, 4, 4, 5, 6, 8, 9, 12];

/** What the session writes to is judged; now and then it stops taking any. */
class Carrier extends Duplex {
  readonly referee: Referee;
  isStuck = false;
  #taken: (() => void) | undefined;

  constructor(referee: Referee) {
    super();
    this.referee = referee;
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.referee.read(chunk);
    if (this.isStuck) this.#taken = done;
    else done();
  }

  release(): void {
    this.isStuck = false;
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
  }
}

/** One session with somebody who sends it anything, and somebody who uses it in every way. */
class Trial {
  readonly #random: (below: number) => number;
  readonly #referee: Referee;
  readonly #carrier: Carrier;
  readonly session: YamuxSession;
  readonly #isClient: boolean;
  #streams: Duplex[] = [];
  #nextId: number;

  constructor(random: (below: number) => number) {
    this.#random = random;
    this.#isClient = random(2) === 0;
    const side = this.#isClient ? "client" : "server";
    this.#nextId = this.#isClient ? 2 : 1;
    this.#referee = new Referee(side);
    this.#carrier = new Carrier(this.#referee);
    const acceptBacklog = 1 + random(8);
    this.session = new YamuxSession(this.#carrier, { side, acceptBacklog, keepAliveIntervalMs: 0 });
  }

  get frames(): number {
    return this.#referee.frames;
  }

  /** A sequence of frames comes, cut anywhere, while the streams are used. */
  async sequence(): Promise<void> {
    for (let actions = this.#random(4); actions > 0; actions -= 1) this.#act();
    const frames = Buffer.concat(Array.from({ length: 1 + this.#random(10) }, () => this.#frame()));
    for (let at = 0; at < frames.length; ) {
      const size = 1 + this.#random(this.#random(3) === 0 ? 30 : 3_000);
      this.#carrier.push(Buffer.from(frames.subarray(at, at + size)));
      at += size;
    }
    await new Promise(setImmediate);
    const { over } = this.session;
    if (!over.aborted) return;
    expect(over.reason).toBeInstanceOf(PluginError);
    expect(this.session.streams).toBe(0);
    // Complete streams may be read after the end; all others have failed.
    for (const stream of this.#streams) stream.resume();
    await new Promise(setImmediate);
    for (const stream of this.#streams) {
      const isComplete = stream.writableEnded ? stream.readableEnded : false;
      expect(stream.destroyed || isComplete).toBe(true);
    }
  }

  /** Nothing is left to come. */
  async end(): Promise<void> {
    this.#carrier.release();
    this.session.close();
    this.#carrier.destroy();
    await this.session[Symbol.asyncDispose]();
  }

  #act(): void {
    const { session } = this;
    if (session.over.aborted) return;
    const stream = this.#streams[this.#random(this.#streams.length || 1)];
    const action = this.#random(12);
    if (action === 0 && this.#streams.length < 40) {
      try {
        this.#streams.push(session.open());
      } catch (failure) {
        expect(failure).toMatchObject({ code: "closed" });
      }
    } else if (action <= 2) {
      const given = action === 1 ? AbortSignal.abort() : undefined;
      session.accept(given).then(
        (accepted) => void this.#streams.push(accepted),
        (failure) => expect(failure).toBeInstanceOf(PluginError),
      );
    } else if (action === 3) this.#carrier.isStuck = this.#random(4) === 0;
    else if (action === 4) this.#carrier.release();
    else if (!stream) return;
    else if (action <= 6) stream.resume();
    else if (action === 7) stream.pause();
    else if (action === 8) stream.read(1 + this.#random(500));
    else if (action === 9) stream.end();
    else if (action === 10 && this.#random(3) === 0) stream.destroy();
    else if (stream.writable) stream.write(SPARE.subarray(0, this.#random(this.#random(20) === 0 ? SPARE.length : 60)));
  }

  #frame(): Buffer {
    const random = this.#random;
    let type = random(16) < 8 ? 0 : 1;
    if (random(12) === 0) type = 2;
    if (random(400) === 0) type = 3;
    const flags = FLAGS[random(FLAGS.length)] as number;
    const streamId = type > 1 ? 0 : this.#streamId(flags);
    const most = random(400) === 0 ? SPARE.length : random(20) === 0 ? 4_000 : 50;
    const length = type === 0 ? random(most) : random(100);
    const frame = { type, flags, streamId, length };
    if (type === 1) this.#referee.grant(frame);
    const head = header(type, type === 3 ? 0 : flags, streamId, type === 3 ? random(2) : length);
    // One in a few hundred is broken: any bit, any length, or a body that is missing.
    const breakage = random(900);
    if (breakage === 0) head[random(12)] = random(256);
    if (breakage === 1) head.writeUInt32BE(random(0x7fff_ffff), 8);
    return breakage === 2 || type !== 0 ? head : Buffer.concat([head, SPARE.subarray(0, length)]);
  }

  #streamId(flags: number): number {
    const random = this.#random;
    if ((flags & 1) === 1 && random(150) !== 0) {
      this.#nextId += 2;
      return this.#nextId - 2;
    }
    const own = (this.#isClient ? 1 : 2) + 2 * random(12);
    const others = Math.max(0, this.#nextId - 2 * (1 + random(12)));
    return random(300) === 0 ? random(0x7fff_ffff) : random(2) === 0 ? own : others;
  }
}

test(`${SEQUENCES} sequences of frames, right and wrong, neither break a session nor fill the memory`, async () => {
  const random = numbers(20_261_123);
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown) => void unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  let [sessions, frames, half] = [0, 0, 0];
  let trial = new Trial(random);
  for (let count = 0; count < SEQUENCES; count += 1) {
    await trial.sequence();
    if (trial.session.over.aborted || random(200) === 0) {
      await trial.end();
      sessions += 1;
      frames += trial.frames;
      trial = new Trial(random);
    }
    if (count === SEQUENCES / 2) half = memory();
  }
  await trial.end();
  const grown = memory() - half;
  process.off("unhandledRejection", onUnhandled);
  expect(unhandled).toEqual([]);
  expect(sessions).toBeGreaterThan(1_000);
  expect(frames).toBeGreaterThan(SEQUENCES);
  expect(grown).toBeLessThan(GROWTH);
}, 180_000);

/** How many bytes are in use when everything that nobody needs is gone. */
function memory(): number {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
