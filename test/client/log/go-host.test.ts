import { execFile } from "node:child_process";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import { buildProgram, hasGo } from "../../plugins/go-plugins.ts";
import { Random } from "../../tools/random.ts";
import { nastyLine, nest } from "./nasty-lines.ts";
import { type Call, logged } from "./recorder.ts";

describe.skipIf(!hasGo())("go-plugin's own host, asked about the same bytes, logs the same", () => {
  beforeAll(() => buildProgram("hostlog"), 6 * 60_000);

  test.each(["trace", "info", "error"] as const)("10,000 nasty lines, from level %s on", async (least) => {
    const random = new Random(20260302);
    const lines = random.times(10_000, () => nastyLine(random)).filter(isFairGame);
    expect(lines.length).toBeGreaterThan(8_000);
    const bytes = Buffer.concat(lines.flatMap((line) => [line, Buffer.from("\n")]));
    expectSame(await ours(bytes, 65_536, least), await theirs(bytes, 65_536, least));
  });

  test.each([0, 16, 17, 64])("lines of every length, in a buffer of %d bytes", async (bufferSize) => {
    const random = new Random(20260303);
    const ends = ["\n", "\n", "\r\n", "\r", "\r\r\n"];
    const lines = random.times(2_000, () => `${"abcdefgh".repeat(20).slice(0, random.below(70))}${random.pick(ends)}`);
    for (const bytes of [Buffer.from(lines.join("")), Buffer.from(lines.join("")).subarray(0, -1)]) {
      expectSame(await ours(bytes, bufferSize || undefined), await theirs(bytes, bufferSize));
    }
  });

  test("numbers too large, and values too deep", async () => {
    const values = [
      "1e308",
      "1e309",
      "-1e309",
      "[[1e309]]",
      '{"n":1e309}',
      "9".repeat(309),
      "1e-999",
      nest(900),
      nest(12_000),
    ];
    const bytes = Buffer.from(values.map((value) => `{"@level":"info","n":${value}}\n`).join(""));
    expectSame(await ours(bytes, 65_536), await theirs(bytes, 65_536));
  });

  test("a panic, and everything after it", async () => {
    const lines = [
      "before",
      " panic: no",
      "panic: boom",
      "goroutine 1",
      "[INFO] m",
      "[1]",
      "null",
      "{}",
      '{"@level":"info"}',
      "x",
    ];
    for (const first of [lines, lines.map((line) => line.replace("panic:", "fatal error:"))]) {
      const bytes = Buffer.from(first.join("\n"));
      expectSame(await ours(bytes, 65_536), await theirs(bytes, 65_536));
    }
  });
});

/** Whether a line is one over which that host does not panic, and that has no `timestamp` for its zero time to hide. */
function isFairGame(line: Buffer): boolean {
  let object: unknown;
  try {
    object = JSON.parse(line.toString());
  } catch {
    return true;
  }
  if (typeof object !== "object" || object === null) return true;
  const special = Object.entries(object).filter(([name]) => ["@level", "@message", "@timestamp"].includes(name));
  // That host also minds a number that is too large where another of the same name takes its place.
  const tooLarge = /\de\+?\d{3}/.test(line.toString());
  return special.every(([, value]) => typeof value === "string") && !("timestamp" in object) && !tooLarge;
}

/** Says where two logs differ, and not all that they have in common. */
function expectSame(mine: readonly unknown[], other: readonly unknown[]): void {
  const different = mine.map((call, n) => [call, other[n]]).filter(([one, two]) => !isDeepStrictEqual(one, two));
  expect(different).toEqual([]);
  expect(mine).toHaveLength(other.length);
  expect(mine.length).toBeGreaterThan(0);
}

async function ours(bytes: Buffer, bufferSize?: number, least: Call["level"] = "trace"): Promise<unknown[]> {
  const { calls } = await logged([bytes], { bufferSize, least, name: "/opt/kv-plugin" });
  return calls.map(({ name, ...call }) => comparable({ ...call, name: name.replace("host.", "") }));
}

async function theirs(bytes: Buffer, bufferSize: number, least = "trace"): Promise<unknown[]> {
  const args = ["-buffer", String(bufferSize), "-level", least, "-name", "/opt/kv-plugin"];
  const program = await buildProgram("hostlog");
  const output = await new Promise<string>((resolve, reject) => {
    const limits = { maxBuffer: 64 * 1024 * 1024, timeout: 50_000 };
    const child = execFile(program, args, limits, (failure, stdout) => (failure ? reject(failure) : resolve(stdout)));
    child.stdin?.on("error", () => {}).end(bytes);
  });
  const calls = output.split("\n").filter((line) => line !== "");
  return calls.map((line) => {
    const { message, ...call } = JSON.parse(line);
    return comparable({ ...call, message: Buffer.from(message, "base64").toString() });
  });
}

/** Without what differs: Go and Node count differently what is no text, and only Node has halves of characters. */
function comparable(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed().replace(/\ufffd+/g, "\ufffd");
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(comparable);
  return new Map(Object.entries(value).map(([name, item]) => [comparable(name), comparable(item)]));
}
