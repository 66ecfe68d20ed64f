/** What a message of SSH is made of: a number of 32 bits, a string, or bytes that are taken as they are. */
export type Part = number | string | Buffer | { readonly raw: Buffer };

/** Writes the parts of a message as SSH does (RFC 4251 §5): strings and buffers with their length before them. */
export function encode(...parts: Part[]): Buffer {
  return Buffer.concat(parts.flatMap((part) => encodeOne(part)));
}

function encodeOne(part: Part): Buffer[] {
  if (typeof part === "number") return [uint32(part)];
  if (typeof part === "string") return encodeOne(Buffer.from(part));
  return "raw" in part ? [part.raw] : [uint32(part.length), part];
}

function uint32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

/** Reads a message part by part. What is missing is 0 or empty: an `ssh` of this machine is no enemy. */
export class MessageReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  byte(): number {
    return this.#take(1)[0] ?? 0;
  }

  uint32(): number {
    const bytes = this.#take(4);
    return bytes.length === 4 ? bytes.readUInt32BE() : 0;
  }

  bytes(): Buffer {
    return this.#take(this.uint32());
  }

  text(): string {
    return this.bytes().toString();
  }

  #take(length: number): Buffer {
    const taken = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return taken;
  }
}
