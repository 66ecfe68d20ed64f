import { PassThrough, Readable } from "node:stream";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { AmountSchema, TextSchema } from "../../src/demo/gen/demo_pb.ts";
import { fieldsOf, frame, readMessage, readMessages, text } from "../../src/demo/plugin/grpc-frames.ts";
import { ConnInfoSchema } from "../../src/dial/gen/plugin_pb.ts";
import { eventually } from "../tools/eventually.ts";
import fc from "../tools/property.ts";

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
        expect(String(fieldsOf(bytes).get(1) ?? "")).toBe(value);
      }),
    );
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), (amount) => {
        const bytes = Buffer.from(toBinary(AmountSchema, create(AmountSchema, { amount })));
        expect(fieldsOf(bytes).get(1) ?? 0).toBe(amount);
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
      expect(String(fieldsOf(message).get(1))).toBe("hello");
    }
  });

  test("reads many messages, each as soon as it is there", async () => {
    const stream = new PassThrough();
    const heard: string[] = [];
    const done = readMessages(stream, (message) => heard.push(String(fieldsOf(message).get(1))));
    const two = Buffer.concat([frame(text("one")), frame(text("two"))]);
    for (const byte of two) stream.write(Buffer.of(byte));
    await eventually(() => heard.length === 2, { what: "two messages", state: () => heard });
    stream.end(frame(text("three")));
    await done;
    expect(heard).toEqual(["one", "two", "three"]);
  });

  test("reads the broker's announcements, and passes over what it does not know", () => {
    const info = create(ConnInfoSchema, { serviceId: 300, network: "unix", address: "/tmp/x" });
    const fields = fieldsOf(Buffer.from(toBinary(ConnInfoSchema, info)));
    expect([fields.get(1), String(fields.get(2)), String(fields.get(3))]).toEqual([300, "unix", "/tmp/x"]);
    // A field of 64 bits ends the reading; what came before it is there.
    expect([...fieldsOf(Buffer.of(0x08, 5, 0x11, 1, 2, 3, 4, 5, 6, 7, 8))]).toEqual([[1, 5]]);
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
