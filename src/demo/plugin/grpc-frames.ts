import type { Readable } from "node:stream";
import { PluginError } from "../../contract/errors.ts";

/** A gRPC message on the wire: a byte for compression, four for the length, then the message (gRPC over HTTP/2). */
const HEADER = 5;

/** Puts a message into a gRPC frame, not compressed. */
export function frame(message: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** The one message of a stream that carries one; rejects if the stream ends before the message does. */
export function readMessage(stream: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  return new Promise((resolve, reject) => {
    // By events: in some versions of Node 24 and 26 an HTTP/2 stream's iterator fails for what arrived in one go.
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => {
      const all = Buffer.concat(chunks);
      // A peer that refuses us ends its answer without a word.
      if (all.length < HEADER || all.length < HEADER + all.readUInt32BE(1)) reject(brokeOff());
      else resolve(all.subarray(HEADER));
    });
    stream.on("error", reject);
    stream.on("close", () => reject(brokeOff()));
  });
}

function brokeOff(): PluginError {
  return new PluginError("connection-lost", "The message broke off.");
}

/** A message whose field 1 is a string: `Text`. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return bytes.length === 0 ? bytes : Buffer.concat([Buffer.of(0x0a, ...length, rest), bytes]);
}

/** Field 1 of a message: a string of `Text`, or the number of `Amount`. */
export function fieldOne(message: Buffer): { string: string; number: number } {
  let at = 1;
  let value = 0;
  for (let shift = 0; at < message.length; shift += 7) {
    const byte = message[at++] ?? 0;
    value = (value | ((byte & 0x7f) << shift)) >>> 0;
    if (byte < 0x80) break;
  }
  return { number: value, string: message.subarray(at, at + value).toString() };
}
