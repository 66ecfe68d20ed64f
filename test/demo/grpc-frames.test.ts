import { PassThrough, Readable } from "node:stream";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { AmountSchema, TextSchema } from "../../src/demo/gen/demo_pb.ts";
import { fieldOne, frame, readMessage, text } from "../../src/demo/plugin/grpc-frames.ts";

describe("the demonstration's gRPC", () => {
  test("writes texts that protobuf reads", () => {
    const check = (value: string) => {
      expect(fromBinary(TextSchema, text(value)).text).toBe(value);
    };
    fc.assert(fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), check));
    for (const length of [0, 127, 128, 16_383, 16_384]) check("x".repeat(length));
  });

  test("reads texts and numbers that protobuf writes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 300 }), (value) => {
        const bytes = Buffer.from(toBinary(TextSchema, create(TextSchema, { text: value })));
        expect(fieldOne(bytes).string).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), (amount) => {
        const bytes = Buffer.from(toBinary(AmountSchema, create(AmountSchema, { amount })));
        expect(fieldOne(bytes).number).toBe(amount);
      }),
      { examples: [[0], [127], [128], [2 ** 31], [2 ** 32 - 1]] },
    );
  });

  test("frames a message with its length, not compressed", () => {
    expect([...frame(Buffer.from("abc"))]).toEqual([0, 0, 0, 0, 3, 97, 98, 99]);
    expect([...frame(Buffer.alloc(0))]).toEqual([0, 0, 0, 0, 0]);
    expect(frame(Buffer.alloc(70_000)).readUInt32BE(1)).toBe(70_000);
  });

  test("reads a message however it arrives", async () => {
    const whole = frame(text("hello"));
    for (let cut = 1; cut < whole.length; cut += 1) {
      const message = await readMessage(Readable.from([whole.subarray(0, cut), whole.subarray(cut)]));
      expect(fieldOne(message).string).toBe("hello");
    }
  });

  test("fails for a message that breaks off", async () => {
    const failing = new PassThrough();
    const message = readMessage(failing);
    failing.write(frame(text("hello")));
    failing.destroy(new RangeError("reset"));
    await expect(message).rejects.toThrow("reset");

    const closing = new PassThrough();
    const other = readMessage(closing);
    closing.destroy();
    await expect(other).rejects.toThrow("broke off");

    const whole = frame(text("hello"));
    for (let length = 0; length < whole.length; length += 1) {
      await expect(readMessage(Readable.from([whole.subarray(0, length)]))).rejects.toThrow("broke off");
    }
  });
});
