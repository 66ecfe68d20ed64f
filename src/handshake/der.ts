/**
 * Writes the few kinds of DER values (ITU-T X.690) that one fixed certificate template consists of.
 *
 * Written here because Node can read X.509 but not make it, and because a general X.509 library would bring a tree of
 * packages into every start of a plugin for the sake of a single template.
 */

/** One value: its tag, its length, its content. */
export function der(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([Buffer.of(tag), length(body.length), body]);
}

/** `SEQUENCE` of `items`. */
export const sequence = (...items: readonly Uint8Array[]): Buffer => der(0x30, ...items);

/** `SET` of one item; more of them would have to be sorted. */
export const set = (item: Uint8Array): Buffer => der(0x31, item);

/** `[number]` around `content`, an explicit tag. */
export const explicit = (number: number, content: Uint8Array): Buffer => der(0xa0 + number, content);

/** `INTEGER` from its big-endian bytes, which must be minimal and not negative (first byte from 1 to 127). */
export const integer = (...bytes: readonly Uint8Array[]): Buffer => der(0x02, ...bytes);

/** `BOOLEAN`, true. */
export const TRUE: Buffer = der(0x01, Buffer.of(0xff));

/** `OCTET STRING`. */
export const octets = (content: Uint8Array): Buffer => der(0x04, content);

/** `BIT STRING`, of which the last `unused` bits do not count. */
export const bits = (content: Uint8Array, unused = 0): Buffer => der(0x03, Buffer.of(unused), content);

/** `PrintableString`. `text` must keep to its small alphabet. */
export const printable = (text: string): Buffer => der(0x13, Buffer.from(text, "latin1"));

/** `OBJECT IDENTIFIER` from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split(".").map(Number);
  return der(0x06, Buffer.from([first * 40 + second, ...rest].flatMap(base128)));
}

/** A point in time, to the second: `UTCTime` to the end of 2049, `GeneralizedTime` from then on (RFC 5280, 4.1.2.5). */
export function time(at: Date): Buffer {
  const digits = `${at.toISOString().replace(/\D/g, "").slice(0, 14)}Z`;
  return at.getUTCFullYear() < 2050 ? der(0x17, Buffer.from(digits.slice(2))) : der(0x18, Buffer.from(digits));
}

/** A length: one byte below 128, otherwise the number of bytes that follow and then those. */
function length(size: number): Buffer {
  if (size < 0x80) return Buffer.of(size);
  return size < 0x100 ? Buffer.of(0x81, size) : Buffer.of(0x82, size >> 8, size & 0xff);
}

/** One part of an object identifier: seven bits per byte, all but the last marked. */
function base128(part: number): number[] {
  const bytes = [part & 0x7f];
  for (let left = part >> 7; left > 0; left >>= 7) bytes.unshift((left & 0x7f) | 0x80);
  return bytes;
}
