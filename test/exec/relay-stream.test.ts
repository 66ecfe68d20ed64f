import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { openRelay } from "../../src/exec/open-relay.ts";
import { withFakeTimeouts } from "../connect/fake-timeouts.ts";
import { received } from "../translate/side.ts";
import { FakeBox, type FakeChannel, settled } from "./fake-box.ts";

/** The server is played here, so that it can be one that never says of a running command that its output has ended. */
describe("a relay's last word", () => {
  test("ends the stream where the server does not, and the other direction goes on", async () => {
    const { channel, stream } = await opened();
    const all = received(stream);
    channel.stdout.write("hello");
    channel.stderr.write(`${channel.mark} end 5\n`);
    expect(String(await all)).toBe("hello");
    expect(stream.writable).toBe(true);
    channel.written = "";
    stream.end("goodbye");
    await settled();
    expect(channel.written).toBe("goodbye");
    channel.exit(0);
    await gone(stream);
  });

  test.each([
    ["before the bytes", ["stderr: end 5", "stdout:he", "stdout:llo"]],
    ["among them", ["stdout:he", "stderr: end 5", "stdout:llo"]],
    ["after the server's", ["stdout:hello", "stdout.", "stderr: end 5"]],
  ])("may come %s", async (_when, events) => {
    const { channel, stream } = await opened();
    const all = received(stream);
    for (const event of events) {
      play(channel, event);
      await settled();
    }
    expect(String(await all)).toBe("hello");
  });

  test("is not taken from anybody else", async () => {
    const { channel, stream } = await opened();
    const all = received(stream);
    channel.stderr.write(`perl: warning\n end 2\ngps${"0".repeat(32)} end 2\n`);
    channel.stdout.write("hello");
    await settled();
    expect(stream.readableEnded).toBe(false);
    channel.stderr.write(`${channel.mark} end 11\n`);
    channel.stdout.write(" again");
    expect(String(await all)).toBe("hello again");
  });

  test("waits for a reader who is slow, and who loses nothing", async () => {
    const { channel, stream } = await opened();
    const data = Buffer.alloc(300_000, "data");
    channel.stdout.write(data);
    channel.stderr.write(`${channel.mark} end ${data.length}\n`);
    await settled();
    expect(stream.readableEnded).toBe(false);
    expect(Buffer.compare(await received(stream), data)).toBe(0);
  });

  test("may be that it broke, which a server tells late too", async () => {
    const { channel, stream } = await opened();
    const failure = new Promise((resolve) => stream.on("error", resolve).resume());
    channel.stderr.write(`${channel.mark} broke 5\n`);
    await settled();
    expect(stream.destroyed).toBe(false);
    channel.stdout.write("hello");
    expect(await failure).toMatchObject({ code: "forward-failed", message: expect.stringContaining("broke.") });
    expect(channel.acts).toEqual(["signal TERM", "close"]);
  });

  test("is not needed where the server says it", async () => {
    const { channel, stream } = await opened();
    const all = received(stream);
    channel.stdout.end("hello");
    expect(String(await all)).toBe("hello");
  });
});

describe("an end without a byte and without a last word", () => {
  test("is none where the relay's exit says so, which may come a while later", () =>
    withFakeTimeouts(async (pass) => {
      const { channel, stream } = await opened();
      const failure = new Promise((resolve) => stream.on("error", resolve).resume());
      channel.stdout.end();
      await settled();
      pass(2_000);
      await settled();
      expect([stream.readableEnded, stream.destroyed]).toEqual([false, false]);
      channel.exit(1);
      expect(await failure).toMatchObject({ message: expect.stringContaining("it ended with exit code 1.") });
    }));

  test("is one where the relay goes on", () =>
    withFakeTimeouts(async (pass) => {
      const { channel, stream } = await opened();
      const all = received(stream);
      channel.stdout.end();
      await settled();
      pass(3_000);
      expect(String(await all)).toBe("");
      expect(stream.writable).toBe(true);
    }));
});

/** A relay that is connected, and the stream through it. */
async function opened() {
  const box = new FakeBox();
  const to = { network: "unix", path: "/tmp/plugin" } as const;
  const opening = openRelay(box.exec, "perl", to, { lost: box.lost.signal });
  await settled();
  const channel = box.channel();
  channel.stdout.write(`${channel.mark} open\n`);
  return { channel, stream: await opening };
}

/** Lets the relay or its server do something: `stdout:text`, `stderr:text after the mark`, or `stdout.` for its end. */
function play(channel: FakeChannel, event: string): void {
  if (event === "stdout.") channel.stdout.end();
  else if (event.startsWith("stderr:")) channel.stderr.write(`${channel.mark}${event.slice(7)}\n`);
  else channel.stdout.write(event.slice(7));
}

function gone(stream: Duplex): Promise<void> {
  return new Promise((resolve) => void (stream.closed ? resolve() : stream.once("close", resolve)));
}
