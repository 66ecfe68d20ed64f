import { once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { afterMark } from "../../src/exec/after-mark.ts";
import { eventually } from "../tools/eventually.ts";

const MARK = "gps0123456789abcdef0123456789abcdef";
const MEGABYTE = 1024 * 1024;

/** A marked stream whose source the test writes; what the plugin said is collected. */
function marked(plugin = new PassThrough()) {
  const source = new PassThrough();
  return { source, plugin, ...afterMark(source, MARK, plugin) };
}

describe("a marked stream", () => {
  test("gives the report without the mark, and what follows it to the plugin", async () => {
    const { source, plugin, report, noise, output } = marked();
    source.end(`${MARK} started pid=1\nhello\nworld`);
    expect(await report).toBe("started pid=1");
    expect(await text(plugin)).toBe("hello\nworld");
    expect(String(noise)).toBe("");
    expect(String(output)).toBe("hello\nworld");
  });

  const whole = Buffer.from(
    `Welcome\r\nnoise without an end${MARK} started pid=1 é\n1|2|unix|/s|grpc|\n\nlater: ${MARK}\n`,
  );

  test("reads the same wherever it is split in two", async () => {
    for (let at = 0; at <= whole.length; at += 1) {
      const { source, plugin, report, noise } = marked();
      const said = text(plugin);
      source.write(whole.subarray(0, at));
      await new Promise(setImmediate);
      source.end(whole.subarray(at));
      expect(await report).toBe("started pid=1 é");
      expect(await said).toBe(`1|2|unix|/s|grpc|\n\nlater: ${MARK}\n`);
      expect(String(noise)).toBe("Welcome\nnoise without an end");
    }
  });

  test("reads the same byte by byte", async () => {
    const { plugin, report, noise } = marked();
    const bytes = [...whole].map((byte) => Buffer.from([byte]));
    const stream = afterMark(Readable.from(bytes, { objectMode: false }), MARK, plugin);
    expect(await stream.report).toBe("started pid=1 é");
    expect(await text(plugin)).toBe(`1|2|unix|/s|grpc|\n\nlater: ${MARK}\n`);
    expect(String(stream.noise)).toBe("Welcome\nnoise without an end");
    expect([String(noise), await Promise.race([report, "not yet"])]).toEqual(["", "not yet"]);
  });

  test("is not misled by the beginning of a mark", async () => {
    const { source, report, noise } = marked();
    const beginnings = `${MARK.slice(0, 20)}${MARK.slice(0, -1)}X${MARK.slice(0, 3)}`;
    source.write(beginnings.slice(0, 30));
    source.write(beginnings.slice(30));
    source.end(`${MARK}\n`);
    expect(await report).toBe("");
    expect(String(noise)).toBe(beginnings);
  });

  test.each(["", "Only noise, and no mark\n", MARK.slice(0, -1), `noise ${MARK} started pid=1 without its newline`])(
    "that ends after %j has no report, all of it is noise, and the plugin's stream ends",
    async (said) => {
      const { source, plugin, report, noise } = marked();
      source.end(said);
      expect(await report).toBeUndefined();
      expect(String(noise)).toBe(said);
      expect(await text(plugin)).toBe("");
    },
  );

  test("does not wait for ever for the end of a report", async () => {
    const { source, report } = marked();
    source.write(`${MARK} started `);
    source.write("x".repeat(20_000));
    expect(await report).toMatch(/^started x+$/);
  });

  test("keeps the end of much noise", async () => {
    const { source, report, noise } = marked();
    for (let n = 0; n < 100; n += 1) source.write("x".repeat(1_000));
    source.write(`the end\n${MARK} r\n`);
    expect(await report).toBe("r");
    expect(String(noise)).toMatch(/^…x{4000,4096}the end\n$/);
  });
});

test("noise can be read while the mark is still awaited, but for what may be its beginning", async () => {
  const { source, noise } = marked();
  source.write("[sudo] password: gps0");
  await new Promise(setImmediate);
  expect(String(noise)).toBe("[sudo] password: ");
  source.write("1x");
  await new Promise(setImmediate);
  expect(String(noise)).toBe("[sudo] password: gps01x");
});

describe("the source of a marked stream", () => {
  test.each(["error", "destroy"] as const)("that breaks (%s) ends both waits and the plugin's stream", async (how) => {
    for (const before of ["", `${MARK} r\nhello`]) {
      const { source, plugin, report, passedOn } = marked();
      const said = text(plugin);
      source.write(before);
      await new Promise(setImmediate);
      source.destroy(how === "error" ? new RangeError("broken") : undefined);
      expect(await report).toBe(before === "" ? undefined : "r");
      expect(await said).toBe(before === "" ? "" : "hello");
      await passedOn;
    }
  });

  test("is held up by a plugin's stream that nobody reads, and goes on when somebody does", async () => {
    let produced = 0;
    const source = new Readable({
      read() {
        if (produced === 0) this.push(`${MARK} r\n`);
        produced += 64 * 1024;
        this.push(produced > 8 * MEGABYTE ? null : Buffer.alloc(64 * 1024, 97));
      },
    });
    const plugin = new PassThrough();
    const { passedOn } = afterMark(source, MARK, plugin);
    await eventually(() => source.isPaused(), { what: "the source to be held up" });
    for (let turn = 0; turn < 100; turn += 1) await new Promise(setImmediate);
    expect(produced).toBeLessThan(MEGABYTE);
    expect((await text(plugin)).length).toBe(8 * MEGABYTE);
    await passedOn;
  });

  test.each([false, true])("is read to its end when the reader has gone (with an error: %s)", async (withError) => {
    const { source, plugin, output } = marked();
    plugin.on("error", () => {});
    source.write(`${MARK} r\n`);
    // Enough to be held up before the reader goes.
    source.write(Buffer.alloc(MEGABYTE));
    await new Promise(setImmediate);
    plugin.destroy(withError ? new RangeError("gone") : undefined);
    for (let n = 0; n < 50; n += 1) {
      if (!source.write(Buffer.alloc(64 * 1024))) await once(source, "drain");
    }
    source.end("the end");
    await once(source, "end");
    expect(String(output)).toMatch(/the end$/);
  });

  test("is read to its end when the reader fails while it writes", async () => {
    const plugin = new Writable({ write: (_chunk, _encoding, done) => done(new RangeError("full")) });
    const source = new PassThrough();
    afterMark(source, MARK, plugin);
    source.write(`${MARK} r\nx`);
    for (let n = 0; n < 50; n += 1) {
      if (!source.write(Buffer.alloc(64 * 1024))) await once(source, "drain");
    }
    source.end();
    await once(source, "end");
  });

  test("is read to its end after a cut, and nothing comes after the end of the plugin's stream", async () => {
    const { source, plugin, report, cut, passedOn } = marked();
    const said = text(plugin);
    source.write(`${MARK} r\nhello`);
    await report;
    cut();
    expect(await said).toBe("hello");
    await passedOn;
    for (let n = 0; n < 50; n += 1) {
      if (!source.write(Buffer.alloc(64 * 1024))) await once(source, "drain");
    }
    source.end();
    await once(source, "end");
  });

  test("that comes to its mark after a cut does not report, and disturbs nobody", async () => {
    const { source, plugin, report, cut } = marked();
    cut();
    source.end(`${MARK} r\nhello`);
    expect(await report).toBeUndefined();
    expect(await text(plugin)).toBe("");
  });
});
