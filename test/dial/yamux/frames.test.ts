import { expect, test } from "vitest";
import { type Frame, HEADER_BYTES, readHeader, TYPE, UINT32_MAX, writeHeader } from "../../../src/dial/yamux/frame.ts";
import { FrameReader } from "../../../src/dial/yamux/frame-reader.ts";
import fc from "../../tools/property.ts";
import { header } from "./raw-peer.ts";

const anyFrame = fc.record({
  type: fc.integer({ min: 0, max: 3 }),
  flags: fc.integer({ min: 0, max: 0xffff }),
  streamId: fc.integer({ min: 0, max: UINT32_MAX }),
  length: fc.integer({ min: 0, max: UINT32_MAX }),
});

test("a header is what Go's is, byte for byte", () => {
  expect(header(TYPE.windowUpdate, 2, 0x01020304, 0xfffefdfc).toString("hex")).toBe("0001000201020304fffefdfc");
});

test("what was written is read", () => {
  const check = (frame: Frame, before: number) => {
    const bytes = Buffer.alloc(before + HEADER_BYTES);
    writeHeader(bytes, before, frame);
    expect(readHeader(bytes, before)).toEqual(frame);
  };
  fc.assert(fc.property(anyFrame, fc.nat(20), check));
});

test("frames are the same however the bytes are cut", () => {
  const bodied = fc.record({ frame: anyFrame, body: fc.uint8Array({ maxLength: 60 }) });
  const check = (frames: { frame: Frame; body: Uint8Array }[], cuts: number[]) => {
    const expected: unknown[] = [];
    const bytes = frames.flatMap(({ frame, body }) => {
      const length = frame.type === TYPE.data ? body.length : frame.length;
      expected.push({ ...frame, length });
      const { type, flags, streamId } = frame;
      if (type !== TYPE.data) return [header(type, flags, streamId, length)];
      if (body.length > 0) expected.push(Buffer.from(body).toString("hex"));
      return [header(type, flags, streamId, length), body];
    });
    const found: unknown[] = [];
    let whole = "";
    const reader = new FrameReader({
      onFrame: (frame) => void found.push(frame),
      onBody: (piece, isLast) => {
        whole += piece.toString("hex");
        if (!isLast) return;
        found.push(whole);
        whole = "";
      },
    });
    const all = Buffer.concat(bytes);
    const places = [0, ...cuts.map((cut) => cut % (all.length + 1)).sort((a, b) => a - b), all.length];
    for (const [index, from] of places.slice(0, -1).entries()) {
      expect(reader.read(all.subarray(from, places[index + 1]))).toBeUndefined();
    }
    expect(found).toEqual(expected);
    expect(reader.isInside).toBe(false);
  };
  fc.assert(fc.property(fc.array(bodied, { maxLength: 20 }), fc.array(fc.nat(), { maxLength: 30 }), check));
});

test("the end inside of a frame is noticed, at every byte", () => {
  const bytes = Buffer.concat([header(TYPE.data, 0, 1, 5), Buffer.from("12345")]);
  for (let length = 0; length <= bytes.length; length += 1) {
    const reader = new FrameReader({ onFrame: () => undefined, onBody: () => {} });
    reader.read(bytes.subarray(0, length));
    expect(reader.isInside, String(length)).toBe(length > 0 && length < bytes.length);
  }
});
