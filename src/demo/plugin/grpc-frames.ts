import type { Readable } from "node:stream";
import { PluginError } from "../../contract/errors.ts";

/** A gRPC message on the wire: a byte for compression, four for the length, then the message (gRPC over HTTP/2). */
const HEADER = 5;
/** Protobuf's kind of a field whose bytes come with their length, and of one that is a number. */
const BYTES = 2;
const NUMBER = 0;

/** Puts a message into a gRPC frame, not compressed. */
export function frame(message: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER);
  header.writeUInt32BE(message.length, 1);
  return Buffer.concat([header, message]);
}

/** Gives `onMessage` each message of a stream as soon as it is complete; resolves when the stream has ended. */
export function readMessages(stream: Readable, onMessage: (message: Buffer) => void): Promise<void> {
  let rest: Buffer = Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    // By events: in some versions of Node 24 and 26 an HTTP/2 stream's iterator fails for what arrived in one go.
    stream.on("data", (chunk: Buffer) => {
      rest = Buffer.concat([rest, chunk]);
      while (rest.length >= HEADER && rest.length >= HEADER + rest.readUInt32BE(1)) {
        const end = HEADER + rest.readUInt32BE(1);
        onMessage(rest.subarray(HEADER, end));
        rest = rest.subarray(end);
      }
    });
    stream.on("end", () => (rest.length === 0 ? resolve() : reject(brokeOff())));
    stream.on("error", reject);
    stream.on("close", () => reject(brokeOff()));
  });
}

/** The one message of a stream that carries one; rejects if the stream ends before the message does. */
export async function readMessage(stream: Readable): Promise<Buffer> {
  const messages: Buffer[] = [];
  await readMessages(stream, (message) => messages.push(message));
  const [message] = messages;
  // A peer that refuses us ends its answer without a word.
  if (!message) throw brokeOff();
  return message;
}

function brokeOff(): PluginError {
  return new PluginError("connection-lost", "The message broke off.");
}

/** A message whose field 1 is a string: `Text`. */
export function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return bytes.length === 0 ? bytes : Buffer.concat([varint((1 << 3) | BYTES), varint(bytes.length), bytes]);
}

/** The fields of a message by their numbers, as far as they are numbers or bytes: a protobuf reader in small. */
export function fieldsOf(message: Buffer): Map<number, number | Buffer> {
  const fields = new Map<number, number | Buffer>();
  let at = 0;
  const number = () => {
    let value = 0;
    for (let shift = 0; at < message.length; shift += 7) {
      const byte = message[at++] ?? 0;
      value = (value | ((byte & 0x7f) << shift)) >>> 0;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = number();
    const [field, kind] = [tag >>> 3, tag & 7];
    if (kind !== BYTES && kind !== NUMBER) break;
    const value = number();
    if (kind === BYTES) at += value;
    fields.set(field, kind === BYTES ? message.subarray(at - value, at) : value);
  }
  return fields;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest >>>= 7) bytes.push((rest & 0x7f) | 0x80);
  return Buffer.of(...bytes, rest);
}
