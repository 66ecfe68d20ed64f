import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { describe, expect, test } from "vitest";
import { firstLine } from "../../src/handshake/first-line.ts";
import fc from "../tools/property.ts";

const EVENTS = ["data", "end", "close"];

/** A stream to which the given chunks were written. */
function stdoutWith(...chunks: (string | Buffer)[]): PassThrough {
  const stdout = new PassThrough();
  for (const chunk of chunks) stdout.write(chunk);
  return stdout;
}

describe("the first line", () => {
  test.each([
    ["in one piece", ["one\ntwo\n"], "one"],
    ["in many pieces", ["o", "n", "e", "\n", "two"], "one"],
    ["with a carriage return, kept for the trim", ["one\r\n"], "one\r"],
    ["that is empty", ["\none\n"], ""],
    ["with a character cut in two", [Buffer.of(0xc3), Buffer.of(0xa9, 0x0a)], "é"],
  ])("%s", async (_, chunks, text) => {
    expect(await firstLine(stdoutWith(...chunks)).heard).toEqual({ text, how: "line" });
  });

  test("of a stream that was paused", async () => {
    expect(await firstLine(stdoutWith("one\n").pause()).heard).toEqual({ text: "one", how: "line" });
  });

  test("of a stream that gives text and not bytes", async () => {
    const stdout = stdoutWith("één\n");
    stdout.setEncoding("utf8");
    expect(await firstLine(stdout).heard).toEqual({ text: "één", how: "line" });
  });

  test("does not depend on how the bytes are cut into chunks", async () => {
    const cases = fc.tuple(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), fc.array(fc.nat(80)));
    await fc.assert(
      fc.asyncProperty(cases, async ([line, rest, cuts]) => {
        const bytes = Buffer.from(`${line.replaceAll("\n", "")}\n${rest}`);
        const edges = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
        const stdout = stdoutWith(...edges.slice(1).map((edge, index) => bytes.subarray(edges[index], edge)));
        const { text, how } = await firstLine(stdout).heard;
        expect(how).toBe("line");
        expect(Buffer.from(text)).toEqual(Buffer.from(bytes.subarray(0, bytes.indexOf("\n")).toString()));
      }),
    );
  });
});

describe("a stream without a line", () => {
  test("that ends gives what came", async () => {
    const stdout = stdoutWith("some");
    stdout.end("thing");
    expect(await firstLine(stdout).heard).toEqual({ text: "something", how: "end" });
  });

  test("that fails gives what came, and the failure", async () => {
    const failure = new Error("broken");
    const stdout = new PassThrough();
    const { heard } = firstLine(stdout);
    stdout.once("data", () => stdout.destroy(failure));
    stdout.write("some");
    expect(await heard).toEqual({ text: "some", how: "end", failure });
  });

  test.each([
    ["had ended", async (stdout: PassThrough) => void (await stdout.end().resume().toArray())],
    ["was destroyed", async (stdout: PassThrough) => void stdout.destroy()],
  ])("that %s before we came gives nothing", async (_, finish) => {
    const stdout = new PassThrough();
    await finish(stdout);
    expect(await firstLine(stdout).heard).toEqual({ text: "", how: "end" });
  });

  test("that had failed before we came gives the failure", async () => {
    const failure = new Error("broken");
    const stdout = new PassThrough().on("error", () => {}).destroy(failure);
    expect(await firstLine(stdout).heard).toEqual({ text: "", how: "end", failure });
  });

  test("that is not listened to any more gives what came so far", async () => {
    const stdout = new PassThrough();
    const first = firstLine(stdout);
    const came = once(stdout, "data");
    stdout.write("some");
    await came;
    first.stop();
    stdout.write("thing\n");
    expect(await first.heard).toEqual({ text: "some", how: "end" });
  });
});

describe("64 KiB, line end included,", () => {
  const most = "x".repeat(64 * 1024 - 1);

  test.each([
    ["are a line", [`${most}\nrest`]],
    ["are a line in two pieces", [most, "\n"]],
  ])("%s", async (_, chunks) => {
    expect(await firstLine(stdoutWith(...chunks)).heard).toEqual({ text: most, how: "line" });
  });

  test.each([
    ["in one piece", [`${most}x\n`]],
    ["in two pieces", [most, "x\n"]],
    ["without any end", [most, "xx"]],
    ["before anything else comes", [`${most}x`]],
  ])("without a line end are none, %s", async (_, chunks) => {
    expect(await firstLine(stdoutWith(...chunks)).heard).toEqual({ text: `${most}x`, how: "too-long" });
  });
});

describe("afterwards", () => {
  test("the stream flows on to its end, and a late error harms nobody", async () => {
    let left = 200;
    const chunk = Buffer.alloc(16 * 1024);
    const stdout = new Readable({
      read() {
        left -= 1;
        if (left > 0) this.push(chunk);
        else this.destroy(new Error("late"));
      },
    });
    stdout.unshift(Buffer.from("line\n"));
    const closed = new Promise((resolve) => stdout.once("close", resolve));
    expect((await firstLine(stdout).heard).text).toBe("line");
    await closed;
    expect(left).toBe(0);
  });

  test("nothing is listened to any more but errors", async () => {
    const stdout = stdoutWith("line\n");
    const before = EVENTS.map((event) => stdout.listenerCount(event));
    const first = firstLine(stdout);
    await first.heard;
    first.stop();
    expect(EVENTS.map((event) => stdout.listenerCount(event))).toEqual(before);
    expect(stdout.listenerCount("error")).toBe(1);
    expect(stdout.readableFlowing).toBe(true);
  });
});
