/** Protobuf's kinds of fields, by what follows the tag. */
const NUMBER = 0;
const EIGHT_BYTES = 1;
const BYTES = 2;
const FOUR_BYTES = 5;

/** The fields of `plugin.ConnInfo` that name a listener. Its id is 1, and 4 is the knock of the multiplexed way. */
const NETWORK = 2;
const ADDRESS = 3;
const KNOCK = 4;

/** Where a listener is, in the two strings of go-plugin. */
export interface Whereabouts {
  network: string;
  address: string;
}

/** One field of a message: where it lies, and its content if that comes with its length. */
interface FieldBytes {
  readonly number: number;
  readonly whole: Buffer;
  readonly content: Buffer | undefined;
}

/** What the broker announces to the other side, as it came. */
export interface ConnInfo {
  /** What it announces; `undefined` for a knock, which has no address. */
  readonly whereabouts: Whereabouts | undefined;
  /** The same message with another network and address; every other field stays as it is, known or not. */
  with(whereabouts: Whereabouts): Buffer;
}

/**
 * Reads a `plugin.ConnInfo`. It is done by hand, because a protobuf library would cost each start of a plugin more time than
 * all the rest here.
 *
 * @returns `undefined` if it is no protobuf message
 */
export function readConnInfo(message: Buffer): ConnInfo | undefined {
  const fields = fieldsOf(message);
  if (!fields) return undefined;
  const last = (number: number) => fields.findLast((field) => field.number === number)?.content?.toString("utf8") ?? "";
  const isKnock = fields.some(({ number }) => number === KNOCK);
  const address = last(ADDRESS);
  return {
    whereabouts: isKnock || address === "" ? undefined : { network: last(NETWORK), address },
    with: ({ network, address }) => {
      const others = fields.filter(({ number }) => number !== NETWORK && number !== ADDRESS);
      const own = [string(NETWORK, network), string(ADDRESS, address)];
      const ids = others.filter(({ number }) => number < NETWORK);
      return Buffer.concat([
        ...ids.map(({ whole }) => whole),
        ...own,
        ...others.filter((field) => !ids.includes(field)).map(({ whole }) => whole),
      ]);
    },
  };
}

function fieldsOf(message: Buffer): FieldBytes[] | undefined {
  const fields: FieldBytes[] = [];
  for (let at = 0; at < message.length; ) {
    const tag = varintAt(message, at);
    if (!tag || tag.value < 8) return undefined;
    const kind = tag.value % 8;
    let from = tag.end;
    let end: number | undefined;
    if (kind === NUMBER) end = varintAt(message, from)?.end;
    else if (kind === EIGHT_BYTES) end = from + 8;
    else if (kind === FOUR_BYTES) end = from + 4;
    else if (kind === BYTES) {
      const length = varintAt(message, from);
      from = length?.end ?? from;
      end = length && from + length.value;
    }
    if (end === undefined || end > message.length) return undefined;
    const content = kind === BYTES ? message.subarray(from, end) : undefined;
    fields.push({ number: Math.floor(tag.value / 8), whole: message.subarray(at, end), content });
    at = end;
  }
  return fields;
}

function varintAt(bytes: Buffer, at: number): { value: number; end: number } | undefined {
  let value = 0;
  for (let nth = 0; nth < 10 && at + nth < bytes.length; nth++) {
    const byte = bytes[at + nth] ?? 0;
    value += (byte & 0x7f) * 2 ** (7 * nth);
    if (byte < 0x80) return { value, end: at + nth + 1 };
  }
  return undefined;
}

function string(field: number, value: string): Buffer {
  const content = Buffer.from(value);
  return Buffer.concat([varint(field * 8 + BYTES), varint(content.length), content]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.of(...bytes, rest);
}
