import { decodeHuffman } from "./huffman.ts";
import { STATIC_TABLE } from "./static-table.ts";

/** What a peer may use before SETTINGS say otherwise. */
const DEFAULT_TABLE_SIZE = 4096;
/** What each entry costs besides its two texts. */
const ENTRY_OVERHEAD = 32;
/** No honest number is longer; 2^31 fits in six bytes. */
const MOST_NUMBER_BYTES = 6;

/** A header's name and value, a character for each byte. */
export type Field = readonly [name: string, value: string];

/**
 * Reads the compressed headers of one direction of an HTTP/2 connection (RFC 7541). All blocks must go through the same
 * decoder, in their order: each may change the table that the next ones refer to.
 */
export class HpackDecoder {
  readonly #table = new DynamicTable();
  #largest = DEFAULT_TABLE_SIZE;

  /** Allows the sender a table of `size` bytes, as SETTINGS_HEADER_TABLE_SIZE does. What was allowed stays allowed. */
  allow(size: number): void {
    this.#largest = Math.max(this.#largest, size);
  }

  /** The fields of a whole header block, or `undefined` if it is malformed: nothing can be read after that. */
  decode(block: Uint8Array): Field[] | undefined {
    const reader = new BlockReader(block);
    const fields: Field[] = [];
    while (!reader.done) {
      const first = reader.peek();
      if ((first & 0xe0) === 0x20) {
        const size = reader.number(5);
        if (size === undefined || size > this.#largest || fields.length > 0) return undefined;
        this.#table.resize(size);
        continue;
      }
      const field = first & 0x80 ? this.#at(reader.number(7)) : this.#literal(reader, first);
      if (!field) return undefined;
      fields.push(field);
    }
    return fields;
  }

  #literal(reader: BlockReader, first: number): Field | undefined {
    const isKept = (first & 0x40) !== 0;
    const index = reader.number(isKept ? 6 : 4);
    const name = index === 0 ? reader.text() : this.#at(index)?.[0];
    const value = reader.text();
    if (name === undefined || value === undefined) return undefined;
    if (isKept) this.#table.add([name, value]);
    return [name, value];
  }

  #at(index: number | undefined): Field | undefined {
    if (index === undefined) return undefined;
    return STATIC_TABLE[index - 1] ?? this.#table.at(index - 1 - STATIC_TABLE.length);
  }
}

/** The fields that were sent last, as many as have room. */
class DynamicTable {
  /** Oldest first. */
  readonly #fields: Field[] = [];
  #size = 0;
  #room = DEFAULT_TABLE_SIZE;

  /** Counted from the newest, which is 0. */
  at(index: number): Field | undefined {
    return this.#fields[this.#fields.length - 1 - index];
  }

  add(field: Field): void {
    this.#fields.push(field);
    this.#size += sizeOf(field);
    this.#evict();
  }

  resize(room: number): void {
    this.#room = room;
    this.#evict();
  }

  #evict(): void {
    let gone = 0;
    for (const field of this.#fields) {
      if (this.#size <= this.#room) break;
      this.#size -= sizeOf(field);
      gone += 1;
    }
    if (gone > 0) this.#fields.splice(0, gone);
  }
}

function sizeOf([name, value]: Field): number {
  return name.length + value.length + ENTRY_OVERHEAD;
}

class BlockReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  peek(): number {
    return this.#bytes[this.#at] ?? 0;
  }

  /** A number whose first byte has `bits` of it (RFC 7541, 5.1); `undefined` if it breaks off or is absurd. */
  number(bits: number): number | undefined {
    if (this.done) return undefined;
    const most = 2 ** bits - 1;
    let value = (this.#bytes[this.#at++] ?? 0) & most;
    if (value < most) return value;
    for (let nth = 0; nth < MOST_NUMBER_BYTES && !this.done; nth++) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * 2 ** (7 * nth);
      if (byte < 0x80) return value;
    }
    return undefined;
  }

  /** A text (RFC 7541, 5.2); `undefined` if it breaks off or is malformed. */
  text(): string | undefined {
    const isHuffman = (this.peek() & 0x80) !== 0;
    const length = this.number(7);
    if (length === undefined || this.#at + length > this.#bytes.length) return undefined;
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    this.#at += length;
    return isHuffman ? decodeHuffman(bytes) : Buffer.from(bytes).toString("latin1");
  }
}
