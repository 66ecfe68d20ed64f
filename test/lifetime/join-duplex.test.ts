import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import { join } from "../../src/lifetime/join.ts";
import { eventually } from "../tools/eventually.ts";

/** One end of a pair in memory: what is written to it can be read from the other, with back-pressure and half-close. */
class End extends Duplex {
  other: End | undefined;
  #waiting: (() => void) | undefined;

  override _read(): void {
    const go = this.#waiting;
    this.#waiting = undefined;
    go?.();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#give(chunk, done);
  }

  override _final(done: () => void): void {
    this.#give(null, done);
  }

  #give(chunk: Buffer | null, done: () => void): void {
    if (!this.other || this.other.destroyed) {
      done();
      return;
    }
    this.other.#waiting = done;
    if (this.other.push(chunk) || chunk === null) this.other._read();
  }
}

function pair(): [End, End] {
  const [one, other] = [new End(), new End()];
  one.other = other;
  other.other = one;
  return [one, other];
}

/** Everything that a stream gives until it ends; the stream itself is left as it is. */
async function all(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

/** `left` ⇄ joined in the middle ⇄ `right`. */
function joined() {
  const [left, middleLeft] = pair();
  const [middleRight, right] = pair();
  for (const end of [left, right]) end.on("error", () => {});
  const onEnd = vi.fn();
  join(middleLeft, middleRight, onEnd);
  return { left, right, middleLeft, middleRight, onEnd };
}

describe.each([0, 1, 5_000_000])("%i bytes", (size) => {
  test.each(["left", "right"] as const)("half-close is kept when %s ends first", async (first) => {
    const { left, right, onEnd } = joined();
    const [one, other] = first === "left" ? [left, right] : [right, left];
    const [there, back] = [randomBytes(size), randomBytes(size)];
    one.end(there);
    expect((await all(other)).equals(there)).toBe(true);
    expect(onEnd).not.toHaveBeenCalled();
    expect(other.writable).toBe(true);
    other.end(back);
    expect((await all(one)).equals(back)).toBe(true);
    await eventually(() => onEnd.mock.calls.length > 0, { what: "the end" });
    expect(onEnd.mock.calls).toEqual([[undefined]]);
  });

  test("both ways at once", async () => {
    const { left, right, onEnd } = joined();
    const [there, back] = [randomBytes(size), randomBytes(size)];
    left.end(there);
    right.end(back);
    const [atRight, atLeft] = await Promise.all([all(right), all(left)]);
    expect([atRight.equals(there), atLeft.equals(back)]).toEqual([true, true]);
    await eventually(() => onEnd.mock.calls.length > 0, { what: "the end" });
    expect(onEnd.mock.calls).toEqual([[undefined]]);
  });
});

describe("an error", () => {
  test.each(["middleLeft", "middleRight"] as const)("of %s ends both, and is told once", async (which) => {
    for (const half of [undefined, "left", "right"] as const) {
      const { onEnd, ...ends } = joined();
      if (half) {
        ends[half].end("all there is");
        await all(ends[half === "left" ? "right" : "left"]);
      }
      const failure = new RangeError("broken");
      ends[which].destroy(failure);
      await eventually(() => onEnd.mock.calls.length > 0, { what: "the end" });
      expect([ends.middleLeft.destroyed, ends.middleRight.destroyed]).toEqual([true, true]);
      for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
      expect(onEnd.mock.calls).toEqual([[failure]]);
    }
  });

  test("of both, or after the end, has a handler", async () => {
    const { middleLeft, middleRight, onEnd } = joined();
    middleLeft.destroy(new RangeError("left"));
    middleRight.destroy(new RangeError("right"));
    await eventually(() => onEnd.mock.calls.length > 0, { what: "the end" });
    for (const end of [middleLeft, middleRight]) end.emit("error", new RangeError("again"));
    expect(onEnd).toHaveBeenCalledTimes(1);
  });
});

test("what waits in the middle is bounded, whatever is sent, and all of it arrives", async () => {
  const { left, right, middleLeft, middleRight } = joined();
  const chunk = randomBytes(64 * 1024);
  let sent = 0;
  while (left.write(chunk)) sent += 1;
  for (let turn = 0; turn < 1_000 && sent < 200; turn += 1) {
    if (left.writableNeedDrain) await new Promise(setImmediate);
    else {
      left.write(chunk);
      sent += 1;
    }
  }
  const held = [left, middleLeft, middleRight, right].map((end) => end.readableLength + end.writableLength);
  expect(Math.max(...held)).toBeLessThan(512 * 1024);
  expect(sent).toBeLessThan(200);
  left.end();
  const arrived = await all(right);
  expect(arrived.length % chunk.length).toBe(0);
  expect(arrived.subarray(-chunk.length).equals(chunk)).toBe(true);
  if (!left.writableFinished) await once(left, "finish");
});
