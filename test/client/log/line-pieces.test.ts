import { describe, expect, test } from "vitest";
import { LinePieces } from "../../../src/client/log/line-pieces.ts";
import { heldMemory } from "../../tools/memory.ts";
import fc from "../../tools/property.ts";

/** What comes out for `chunks`: each piece as text, with `…` on the sides where its line goes on. */
function cut(limit: number, chunks: readonly (string | Buffer)[]): string[] {
  const pieces = new LinePieces(limit);
  const said: string[] = [];
  const say = (generated: ReturnType<LinePieces["push"]>) => {
    for (const { bytes, unfinished, continued } of generated) {
      said.push(`${continued ? "…" : ""}${bytes.toString("latin1")}${unfinished ? "…" : ""}`);
    }
  };
  for (const chunk of chunks) say(pieces.push(Buffer.from(chunk)));
  say(pieces.end());
  return said;
}

describe("lines", () => {
  const fifteen = "123456789012345";
  test.each([
    ["", []],
    ["a\nb\n", ["a", "b"]],
    ["a\n\nb", ["a", "", "b"]],
    ["a\r\nb\r\n", ["a", "b"]],
    ["a\r\r\nb\rc\n", ["a\r", "b\rc"]],
    ["a\r", ["a\r"]],
    [`${fifteen}\nx\n`, [fifteen, "x"]],
    [`${fifteen}6\nx\n`, [`${fifteen}6…`, "…", "x"]],
    [`${fifteen}6`, [`${fifteen}6…`]],
    [`${fifteen}67\nx\n`, [`${fifteen}6…`, "…7", "x"]],
    [`${fifteen}\r\nx\n`, [`${fifteen}…`, "…", "x"]],
    [`${fifteen}\rab\nx\n`, [`${fifteen}…`, "…\rab", "x"]],
    [`${fifteen}${fifteen}${fifteen}`, [`${fifteen}1…`, `…${fifteen.slice(1)}12…`, `…${fifteen.slice(2)}`]],
  ])("of %j, 16 bytes at the most", (text, pieces) => {
    expect(cut(16, [text])).toEqual(pieces);
    expect(cut(16, [...text])).toEqual(pieces);
    expect(cut(1, [text])).toEqual(pieces);
  });

  test("are the same however the bytes arrive", () => {
    const bytes = fc.array(
      fc.constantFrom(..."aaaaaaab\r\r\n").map((c) => c.charCodeAt(0)),
      { maxLength: 200 },
    );
    fc.assert(
      fc.property(bytes, fc.array(fc.nat(40)), fc.integer({ min: 16, max: 40 }), (all, sizes, limit) => {
        const buffer = Buffer.from(all);
        const chunks: Buffer[] = [];
        let at = 0;
        for (const size of [...sizes, buffer.length]) {
          chunks.push(buffer.subarray(at, at + size));
          at += size;
        }
        expect(cut(limit, chunks)).toEqual(reference(limit, buffer.toString("latin1")));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a line that never ends", () => {
  test("is not kept", () => {
    const pieces = new LinePieces(64 * 1024);
    const chunk = Buffer.alloc(100_000, "x");
    const before = heldMemory();
    let passed = 0;
    for (let n = 0; n < 500; n += 1) for (const { bytes } of pieces.push(chunk)) passed += bytes.length;
    expect(heldMemory() - before).toBeLessThan(2_000_000);
    for (const { bytes } of pieces.end()) passed += bytes.length;
    expect(passed).toBe(50_000_000);
  });

  test("does not keep the chunks alive of which it needs a byte", () => {
    const pieces = new LinePieces(64 * 1024);
    const before = heldMemory();
    for (let n = 0; n < 500; n += 1) expect([...pieces.push(Buffer.alloc(64 * 1024, "x").subarray(0, 1))]).toEqual([]);
    expect(heldMemory() - before).toBeLessThan(2_000_000);
    expect([...pieces.end()].map(({ bytes }) => bytes.length)).toEqual([500]);
  });
});

/** The same by the rules of Go's `ReadLine`, for a text that is all there. */
function reference(limit: number, text: string): string[] {
  const said: string[] = [];
  let rest = text;
  for (let continued = ""; rest !== ""; ) {
    const window = rest.slice(0, limit);
    const end = window.indexOf("\n");
    const unfinished = end === -1 && window.length === limit;
    const piece = end === -1 ? window : window.slice(0, end);
    const trimmed = piece.replace(/\r$/, "");
    const atEnd = end === -1 && !unfinished;
    said.push(`${continued}${atEnd ? piece : trimmed}${unfinished ? "…" : ""}`);
    rest = rest.slice(end !== -1 ? end + 1 : unfinished ? trimmed.length : window.length);
    continued = unfinished ? "…" : "";
  }
  return said;
}
