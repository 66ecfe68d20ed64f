import { once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import type { Logger } from "../../../src/client/log/logger.ts";
import { readPluginLog } from "../../../src/client/log/read-plugin-log.ts";
import { eventually } from "../../tools/eventually.ts";
import { heldMemory } from "../../tools/memory.ts";
import { logged, Recorder } from "./recorder.ts";

const PATIENCE = { timeoutMs: 20_000 };

/** A tap that keeps everything. */
function collector(): Writable & { text: () => string } {
  const chunks: Buffer[] = [];
  const tap = new Writable({ write: (chunk, _encoding, done) => done(void chunks.push(chunk)) });
  return Object.assign(tap, { text: () => Buffer.concat(chunks).toString("latin1") });
}

describe("what go-plugin's own tests ask of its host", () => {
  test("TestClient_logStderr: lines longer than the buffer pass through to the tap unchanged", async () => {
    const tap = collector();
    const text =
      "\nthis line is more than 32 bytes long\nand this line is more than 32 bytes long\n" +
      '{"a": "b", "@level": "debug"}\nthis line is short\n';
    await logged(text, { bufferSize: 32, tap });
    expect(tap.text()).toBe(text);
  });

  test("TestClient_logStderrParseJSON: a short line is parsed, a long one logged in pieces", async () => {
    const text =
      '{"@message": "this is a message", "@level": "info"}\n' +
      '{"@message": "this is a large message that is more than 64 bytes long", "@level": "info"}';
    expect((await logged(text, { bufferSize: 64 })).said).toEqual([
      ["info", "this is a message"],
      ["debug", '{"@message": "this is a large message that is more than 64 bytes'],
      ["debug", ' long", "@level": "info"}'],
    ]);
  });

  test("TestClient_Stderr: the tap gets the lines", async () => {
    const tap = collector();
    await logged("HELLO\nWORLD\n", { tap });
    expect(tap.text()).toBe("HELLO\nWORLD\n");
    expect(tap.writableEnded).toBe(false);
  });

  test("TestClient_StderrJSON: JSON that is not hclog's is logged as it is", async () => {
    expect((await logged('["HELLO"]\n12345\n{"a":1}\n')).said).toEqual([
      ["debug", '["HELLO"]'],
      ["debug", "12345"],
      ["debug", '{"a":1}'],
    ]);
  });

  test("TestClient_textLogLevel: a level in front of text counts", async () => {
    const { said } = await logged("[INFO] not this\n[WARN] test line 98765\nnor this\n", { least: "warn" });
    expect(said).toEqual([["warn", "[WARN] test line 98765"]]);
  });

  test("TestServerLogPanic: a panic and its stack are errors", async () => {
    const stack = Array.from({ length: 10 }, (_, n) => `goroutine ${n} [running]:`);
    const { said } = await logged(
      ["panic: boom", "", ...stack].map((line) => `${line}\n`),
      { least: "error" },
    );
    expect(said).toEqual(["panic: boom", "", ...stack].map((line) => ["error", line]));
  });

  test("TestClient_logger: keys and values of the plugin's logger arrive", async () => {
    const { calls } = await logged('{"@level":"info","@message":"m","foo":"bar","n":12}\n', { name: "/opt/kv-plugin" });
    expect(calls).toMatchObject([{ name: "host.kv-plugin", level: "info", fields: { foo: "bar", n: 12 } }]);
  });
});

describe("the reading", () => {
  test("takes lines with CRLF, an empty one, and a last one without an end", async () => {
    expect((await logged("a\r\n\r\nb")).said).toEqual(["a", "", "b"].map((line) => ["debug", line]));
  });

  test("understands text whose characters come in parts, and bytes that are no text", async () => {
    const bytes = [...Buffer.concat([Buffer.from("naïve 日本 🙂\n"), Buffer.of(0xff, 0xe6, 0x97, 0x0a)])];
    const { said } = await logged(bytes.map((byte) => Buffer.of(byte)));
    expect(said.map(([, message]) => message)).toEqual(["naïve 日本 🙂", "\ufffd\ufffd"]);
  });

  test("keeps characters whole in the pieces of a long line", async () => {
    const line = "🙂".repeat(50);
    const { said } = await logged(`${line}\nnext\n`, { bufferSize: 33 });
    expect(said.slice(0, -1).map(([, message]) => message)).not.toContain("\ufffd");
    expect(
      said
        .slice(0, -1)
        .map(([, message]) => message)
        .join(""),
    ).toBe(line);
    expect(said.at(-1)).toEqual(["debug", "next"]);
  });

  test("takes no part of a long line for more than text", async () => {
    const { said } = await logged("[ERROR] 90123456[ERROR] 90123456[ERROR]\n[ERROR] short\n", { bufferSize: 16 });
    expect(said).toEqual([
      ["debug", "[ERROR] 90123456"],
      ["debug", "[ERROR] 90123456"],
      ["debug", "[ERROR]"],
      ["error", "[ERROR] short"],
    ]);
  });

  test("takes a stream of text, and one that has ended before", async () => {
    const logger = new Recorder();
    const stderr = new PassThrough().setEncoding("utf8");
    stderr.end("naïve\n");
    await readPluginLog({ stderr, logger, name: "plugin" });
    await readPluginLog({ stderr, logger, name: "plugin" });
    await readPluginLog({ stderr: new PassThrough().destroy(), logger, name: "plugin" });
    await readPluginLog({ stderr: new PassThrough().destroy().resume(), logger, name: "plugin" });
    expect(logger.said).toEqual([["debug", "naïve"]]);
  });

  test.each([
    ["fails", new Error("cut"), [["error", "reading plugin stderr"]]],
    ["is closed", undefined, []],
  ])("ends with a stream that %s, after what came", async (_, failure, more) => {
    const logger = new Recorder();
    const stderr = new PassThrough();
    const reading = readPluginLog({ stderr, logger, name: "plugin" });
    stderr.write("one\ntw");
    await eventually(() => logger.calls.length === 1, { ...PATIENCE, what: "the first line" });
    stderr.destroy(failure);
    await reading;
    expect(logger.said).toEqual([["debug", "one"], ["debug", "tw"], ...more]);
    // What a stream still says after its end must not end the process.
    stderr.emit("error", new Error("late"));
  });

  test("goes on whatever the logger does", async () => {
    const log = vi.fn(() => {
      throw new Error("disk full");
    });
    const broken: Logger = { isEnabled: () => true, log, named: () => broken };
    await readPluginLog({ stderr: Readable.from([Buffer.from("a\nb\nc")]), logger: broken, name: "plugin" });
    expect(log).toHaveBeenCalledTimes(3);
  });

  test("does not pile up what it reads, in one line or many, however fast it comes", async () => {
    const chunk = Buffer.from("x".repeat(99).concat("\n").repeat(655));
    for (const piece of [chunk, Buffer.alloc(chunk.length, "x")]) {
      let left = 500;
      const stderr = new Readable({
        read() {
          left -= 1;
          this.push(left < 0 ? null : Buffer.from(piece));
        },
      });
      let bytes = 0;
      let most = 0;
      const before = heldMemory();
      const logger: Logger = {
        isEnabled: (level) => level === "debug",
        log: (_level, message) => {
          if (Math.floor(bytes / 5_000_000) !== Math.floor((bytes + message.length) / 5_000_000)) {
            most = Math.max(most, heldMemory() - before);
          }
          bytes += message.length;
        },
        named: () => logger,
      };
      await readPluginLog({ stderr, logger, name: "plugin" });
      expect(bytes).toBeGreaterThan(30_000_000);
      expect(most).toBeGreaterThan(0);
      expect(most).toBeLessThan(8_000_000);
    }
  });
});

describe("a tap", () => {
  test("gets every byte, also those that are no text", async () => {
    const tap = collector();
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, n) => n));
    await logged([bytes, bytes], { tap });
    expect(tap.text()).toBe(Buffer.concat([bytes, bytes]).toString("latin1"));
  });

  test("that is slow slows the reading down", async () => {
    const logger = new Recorder();
    const waiting: (() => void)[] = [];
    const tap = new Writable({ highWaterMark: 1, write: (_chunk, _encoding, done) => void waiting.push(done) });
    const stderr = new PassThrough();
    const reading = readPluginLog({ stderr, logger, name: "plugin", tap });
    for (const line of ["one\n", "two\n"]) {
      stderr.write(line);
      await eventually(() => waiting.length === 1 && logger.calls.length === 1, { ...PATIENCE, what: "one line" });
      expect(stderr.readableLength).toBe(line === "one\n" ? 0 : 4);
    }
    waiting.shift()?.();
    await eventually(() => waiting.length === 1 && logger.calls.length === 2, { ...PATIENCE, what: "the next line" });
    stderr.end();
    waiting.shift()?.();
    await reading;
  });

  const stuck = () => new Writable({ highWaterMark: 1, write: () => {} });

  test("that stands still gets no more, and the log says so", async () => {
    const logger = await logged(["one\n", "two\n"], { tap: stuck(), tapTimeoutMs: 1 });
    expect(logger.said).toEqual([
      ["debug", "one"],
      ["warn", "copying plugin stderr"],
      ["debug", "two"],
    ]);
    expect(logger.calls[1]?.fields?.error).toContain("within 1 ms");
  });

  test("is not waited for when the caller gives up", async () => {
    const giveUp = new AbortController();
    const tap = stuck();
    const reading = logged(["one\n", "two\n"], { tap, signal: giveUp.signal });
    await eventually(() => tap.writableNeedDrain, { ...PATIENCE, what: "the tap to be full" });
    giveUp.abort();
    expect((await reading).said).toEqual([
      ["debug", "one"],
      ["debug", "two"],
    ]);
  });

  test.each<[string, () => Writable]>([
    ["is closed", () => new PassThrough().destroy()],
    ["has ended", () => new PassThrough().end()],
    ["fails", () => new Writable({ write: (_chunk, _encoding, done) => done(new Error("disk full")) })],
    [
      "fails later",
      () => new Writable({ write: (_chunk, _encoding, done) => void setImmediate(done, new Error("x")) }),
    ],
    [
      "throws",
      () =>
        new Writable({
          write: () => {
            throw new Error("disk full");
          },
        }),
    ],
    [
      "is closed while it is waited for",
      () => {
        const tap = stuck();
        setImmediate(() => tap.destroy());
        return tap;
      },
    ],
  ])("that %s does no harm", async (_, open) => {
    const { said } = await logged(["one\n", "two\n", "three\n"], { tap: open() });
    expect(said.filter(([level]) => level === "debug").map(([, message]) => message)).toEqual(["one", "two", "three"]);
  });

  test("may serve many plugins", async () => {
    const warned = vi.fn();
    process.on("warning", warned);
    const tap = new PassThrough({ highWaterMark: 1 });
    const all = Promise.all(Array.from({ length: 30 }, () => logged(["one\n", "two\n"], { tap })));
    await eventually(() => tap.writableNeedDrain, { ...PATIENCE, what: "the tap to be full" });
    tap.resume();
    for (const { said } of await all) expect(said).toHaveLength(2);
    tap.end();
    await once(tap, "close");
    process.off("warning", warned);
    expect(warned.mock.calls).toEqual([]);
  });
});
