/**
 * How many bits each byte has in Huffman's code of HPACK, and at the end the mark that is never sent (RFC 7541,
 * appendix B). The code is canonical: the lengths say it all.
 */
// biome-ignore format: a table
const LENGTHS = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7,
  7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21,
  23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24,
  21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
];
const LONGEST = 30;
const END_MARK = 256;

/** The first code of each length, how many there are, and where their bytes begin in {@link SYMBOLS}. */
const FIRST: number[] = [];
const COUNT: number[] = [];
const START: number[] = [];
/** The bytes by length and value, which is the order of their codes. */
const SYMBOLS = LENGTHS.map((_, symbol) => symbol).sort((a, b) => lengthOf(a) - lengthOf(b) || a - b);

for (let length = 0, code = 0, start = 0; length <= LONGEST; length++) {
  const count = LENGTHS.filter((each) => each === length).length;
  FIRST.push(code);
  COUNT.push(count);
  START.push(start);
  start += count;
  code = (code + count) * 2;
}

/** The text, a character for each byte, or `undefined` if it breaks the code's rules (RFC 7541, 5.2). */
export function decodeHuffman(bytes: Uint8Array): string | undefined {
  let text = "";
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      length += 1;
      const nth = code - (FIRST[length] ?? 0);
      if (nth < (COUNT[length] ?? 0)) {
        const symbol = SYMBOLS[(START[length] ?? 0) + nth] ?? END_MARK;
        if (symbol === END_MARK) return undefined;
        text += String.fromCharCode(symbol);
        code = 0;
        length = 0;
      }
    }
  }
  // The rest of the last byte is filled with ones, less than a byte of them.
  return length < 8 && code === 2 ** length - 1 ? text : undefined;
}

function lengthOf(symbol: number): number {
  return LENGTHS[symbol] ?? 0;
}
