import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { FLAG, TYPE } from "../../../src/dial/yamux/frame.ts";
import { FrameReader } from "../../../src/dial/yamux/frame-reader.ts";
import { Inbox } from "../../../src/dial/yamux/inbox.ts";
import { Outgoing } from "../../../src/dial/yamux/outgoing.ts";
import { Packer } from "../../../src/dial/yamux/packer.ts";
import { PeerIds } from "../../../src/dial/yamux/peer-ids.ts";
import fc from "../../tools/property.ts";
import { bytes } from "./streams.ts";

const sizes = fc.array(fc.oneof(fc.nat(20), fc.nat(3_000), fc.nat(40_000)), { maxLength: 30 });

test("an inbox gives what it was given, in order, and keeps little more memory than that", () => {
  const check = (lengths: number[], takeAfter: boolean[]) => {
    const inbox = new Inbox();
    const added: Buffer[] = [];
    const taken: Buffer[] = [];
    for (const [index, length] of lengths.entries()) {
      const chunk = bytes(65_536, index);
      const piece = chunk.subarray(100, 100 + length);
      inbox.add(piece);
      added.push(Buffer.from(piece));
      // A small piece was copied, so this does not matter to it.
      if (length < 16_384) chunk.fill(0);
      if (takeAfter[index]) taken.push(inbox.take() ?? Buffer.alloc(0));
      expect(inbox.bytes).toBe(sum(added) - sum(taken));
    }
    const memory = new Set<ArrayBufferLike>();
    for (let piece = inbox.take(); piece; piece = inbox.take()) {
      memory.add(piece.buffer);
      taken.push(piece);
    }
    expect(Buffer.concat(taken).equals(Buffer.concat(added))).toBe(true);
    const kept = [...memory].reduce((total, { byteLength }) => total + byteLength, 0);
    expect(kept).toBeLessThanOrEqual(4 * sum(added) + 2 * 4096 + 65_536);
  };
  fc.assert(fc.property(sizes, fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), check), { numRuns: 200 });
});

test("an inbox does not keep chunks alive for small pieces of them", () => {
  const inbox = new Inbox();
  const memory = new Set<ArrayBufferLike>();
  for (let count = 0; count < 10_000; count += 1) inbox.add(bytes(4_000).subarray(0, 10));
  for (let piece = inbox.take(); piece; piece = inbox.take()) memory.add(piece.buffer);
  expect([...memory].reduce((total, { byteLength }) => total + byteLength, 0)).toBeLessThan(110_000);
});

test("what is packed arrives as frames, whatever the sizes, the credit and the turns", () => {
  const check = (lengths: number[], grants: number[], limit: number) => {
    const outgoing = new Outgoing();
    const packer = new Packer();
    const arrived: Buffer[] = [];
    const reader = new FrameReader({ onFrame: () => undefined, onBody: (piece) => void arrived.push(piece) });
    const carrier = new Writable({
      writev: (chunks, done) => {
        for (const { chunk } of chunks) reader.read(chunk);
        done();
      },
      write: (chunk, _, done) => {
        reader.read(chunk);
        done();
      },
    });
    const pieces = lengths.map((length, index) => bytes(length, index));
    outgoing.put(pieces, () => {});
    let credit = 256 * 1024;
    for (const grant of grants) {
      while (outgoing.isReady) outgoing.pack(packer, 7, limit);
      packer.header({ type: TYPE.windowUpdate, flags: FLAG.ack, streamId: 3, length: 9 });
      packer.writeTo(carrier);
      expect(sum(arrived)).toBe(Math.min(credit, sum(pieces)));
      outgoing.grant(grant);
      credit += grant;
    }
    expect(Buffer.concat(arrived).equals(Buffer.concat(pieces).subarray(0, sum(arrived)))).toBe(true);
  };
  const grants = fc.array(fc.nat(100_000), { minLength: 1, maxLength: 8 });
  fc.assert(fc.property(sizes, grants, fc.integer({ min: 1_000, max: 70_000 }), check), { numRuns: 200 });
});

test("many small frames become one write", () => {
  const writes: Buffer[] = [];
  const carrier = new Writable({ write: (chunk, _, done) => void done(void writes.push(chunk)) });
  const packer = new Packer();
  for (let count = 0; count < 100; count += 1) {
    packer.header({ type: TYPE.data, flags: 0, streamId: 1, length: 100 });
    packer.body(bytes(100));
  }
  packer.writeTo(carrier);
  expect(writes.map(({ length }) => length)).toEqual([11_200]);
});

test("an id may be opened once, in any order within reason, and only with the right parity", () => {
  const ids = new PeerIds(1);
  expect([0, 2, 5, 1, 3, 3, 5, 1, 7].map((id) => ids.claim(id))).toEqual([
    false,
    false,
    true,
    true,
    true,
    false,
    false,
    false,
    true,
  ]);
  expect(ids.claim(4_000_000_001)).toBe(true);
  expect(ids.claim(3_999_999_999)).toBe(true);
  expect(ids.claim(9)).toBe(false);
});

function sum(buffers: readonly Buffer[]): number {
  return buffers.reduce((total, { length }) => total + length, 0);
}
