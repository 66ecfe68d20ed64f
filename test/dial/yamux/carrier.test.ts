import type { Duplex } from "node:stream";
import { afterEach, expect, test, vi } from "vitest";
import { YamuxSession } from "../../../src/dial/yamux/yamux-session.ts";
import { eventually } from "../../tools/eventually.ts";
import { duplexPair } from "./pair.ts";
import { header, RawPeer } from "./raw-peer.ts";
import { openSessions } from "./sessions.ts";
import { bytes, collect, failureOf } from "./streams.ts";

const [DATA, WINDOW_UPDATE, PING] = [0, 1, 2];
const [SYN, ACK, FIN, RST] = [1, 2, 4, 8];

afterEach(() => vi.useRealTimers());

test("a carrier that is cut at any byte ends everything, at once, and nothing incomplete looks complete", async () => {
  const talk = Buffer.concat([
    header(WINDOW_UPDATE, ACK, 1, 0),
    header(DATA, 0, 1, 4),
    Buffer.from("some"),
    header(DATA, SYN | FIN, 2, 3),
    Buffer.from("all"),
    header(PING, SYN, 0, 9),
  ]);
  for (let length = 0; length <= talk.length; length += 1) {
    for (const cut of ["end", "destroy"] as const) {
      const peer = new RawPeer();
      const stream = peer.session.open();
      const failed = failureOf(stream);
      const accepting = Promise.allSettled([peer.session.accept(), peer.session.accept()]);
      peer.end.write(talk.subarray(0, length), () => peer.end[cut]());
      const reason = await peer.over();
      expect(reason).toMatchObject({ code: "connection-lost" });
      expect(await failed, `${length}`).toBe(reason);
      const [first, second] = await accepting;
      expect(second).toEqual({ status: "rejected", reason });
      if (first?.status === "fulfilled" && first.value.errored === null) {
        expect((await collect(first.value).catch(() => "failed")).toString()).toMatch(/^(all|failed)$/);
      }
      expect(peer.session.streams).toBe(0);
      await peer.session[Symbol.asyncDispose]();
    }
  }
});

test.each<[string, (carrier: Duplex) => void, RegExp]>([
  ["fails", (carrier) => carrier.destroy(new TypeError("EPIPE, say")), /EPIPE, say/],
  ["is closed", (carrier) => carrier.destroy(), /was closed/],
  ["ends", (carrier) => carrier.push(null), /ended/],
])("a carrier that %s ends what is blocked on it, too", async (_, end, said) => {
  const [carrier, other] = duplexPair();
  const session = new YamuxSession(carrier, { side: "server", keepAliveIntervalMs: 0 });
  other.on("error", () => {});
  const stream = session.open();
  const failed = failureOf(stream);
  const written = new Promise<unknown>((resolve) => stream.write(bytes(1_000_000), resolve));
  const accepting = session.accept();
  await eventually(() => carrier.writableNeedDrain, { what: "the carrier to be full" });
  end(carrier);
  expect(await failed).toMatchObject({ code: "connection-lost", message: expect.stringMatching(said) });
  expect(await written).toBe(await failed);
  await expect(accepting).rejects.toBe(await failed);
  await session[Symbol.asyncDispose]();
  expect(carrier.closed).toBe(true);
});

test("a session on a carrier that has gone is over from the start", async () => {
  const [carrier] = duplexPair();
  carrier.destroy();
  const session = new YamuxSession(carrier, { side: "client" });
  expect(session.over.reason).toMatchObject({ code: "connection-lost" });
  expect(() => session.open()).toThrow(session.over.reason);
  await session[Symbol.asyncDispose]();
});

test("a carrier that was paused is read", async () => {
  const [carrier, other] = duplexPair();
  carrier.pause();
  other.write(header(DATA, SYN | FIN, 2, 0));
  await using session = new YamuxSession(carrier, { side: "client" });
  await session.accept(AbortSignal.timeout(20_000));
});

test("a carrier whose other side does not read is closed all the same, a second after the session", async () => {
  const [carrier] = duplexPair();
  const session = new YamuxSession(carrier, { side: "client" });
  session.open().write(bytes(100_000));
  await eventually(() => carrier.writableNeedDrain, { what: "the carrier to be full" });
  await session[Symbol.asyncDispose]();
  expect(carrier.destroyed).toBe(true);
});

test("pings and window updates pass a writer that has no credit", async () => {
  await using peer = new RawPeer({ receiveWindowBytes: 262_144 });
  const stuck = peer.session.open();
  stuck.write(bytes(10_000_000));
  await eventually(() => peer.sent.reduce((sum, { body }) => sum + body.length, 0) === 262_144, { what: "a window" });
  stuck.resume();
  peer.send(DATA, ACK, 1, bytes(200_000));
  peer.send(PING, SYN, 0, 12);
  expect((await peer.until(PING, ACK, 0)).length).toBe(12);
  await peer.until(WINDOW_UPDATE, 0, 1);
});

test("the other side is asked whether it is there, and anything that comes is an answer", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  await using peer = new RawPeer({ keepAliveIntervalMs: 30_000, keepAliveTimeoutMs: 10_000 });
  const pings = async (count: number) => {
    while (peer.sent.filter(({ type }) => type === PING).length < count) await turn();
  };
  peer.session.open();
  await vi.advanceTimersByTimeAsync(30_000);
  await pings(1);
  peer.send(DATA, ACK, 1, Buffer.from("busy"));
  await turns();
  await vi.advanceTimersByTimeAsync(30_000);
  await pings(2);
  peer.send(PING, ACK, 0, 0);
  await turns();
  await vi.advanceTimersByTimeAsync(30_000);
  await pings(3);
  await vi.advanceTimersByTimeAsync(9_999);
  await turn();
  expect(peer.session.over.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  await turns();
  expect(peer.session.over.reason).toMatchObject({
    code: "connection-lost",
    message: expect.stringMatching(/nothing came for 10000 ms/),
  });
  expect(vi.getTimerCount()).toBeLessThanOrEqual(1);
});

test("who is asked more often than it may take to answer has all of that time for each answer", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  await using peer = new RawPeer({ keepAliveIntervalMs: 50, keepAliveTimeoutMs: 1_010 });
  await vi.advanceTimersByTimeAsync(50);
  for (let asked = 0; asked < 30; asked += 1) {
    // In here, the time is over for a question that was answered long ago.
    await vi.advanceTimersByTimeAsync(20);
    await turns();
    peer.send(PING, ACK, 0, 0);
    await turns();
    await vi.advanceTimersByTimeAsync(30);
  }
  expect(peer.session.over.aborted).toBe(false);
});

test("what came while this process slept counts as an answer", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  await using peer = new RawPeer({ keepAliveIntervalMs: 30_000, keepAliveTimeoutMs: 10_000 });
  vi.advanceTimersByTime(30_000);
  // It is in our socket already, but the timer is first.
  peer.send(PING, ACK, 0, 0);
  vi.advanceTimersByTime(10_000);
  await turns();
  expect(peer.session.over.aborted).toBe(false);
});

test("a stream that nobody accepts in time fails, is reset, and the session goes on", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  await using peer = new RawPeer({ openTimeoutMs: 75_000 });
  const [ignored, accepted] = [peer.session.open(), peer.session.open()];
  peer.send(WINDOW_UPDATE, ACK, 3);
  await turns();
  const failed = failureOf(ignored);
  vi.advanceTimersByTime(75_000);
  expect(await failed).toMatchObject({ code: "timeout", message: expect.stringMatching(/75000 ms/) });
  await turns();
  expect(peer.sent.find(({ flags }) => flags === RST)).toMatchObject({ streamId: 1 });
  expect([accepted.destroyed, peer.session.over.aborted, peer.session.streams]).toEqual([false, false, 1]);
});

test("a stream that the other side never ends is reset when it has been silent, and not while it is read", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  await using peer = new RawPeer({ streamCloseTimeoutMs: 1_000 });
  const stream = peer.session.open();
  stream.end("my half");
  const failed = failureOf(stream);
  await turns();
  peer.send(DATA, ACK, 1, Buffer.from("its half"));
  await turns();
  // What it has sent is not yet read: that is our fault.
  for (let count = 0; count < 5; count += 1) vi.advanceTimersByTime(1_000);
  expect(stream.destroyed).toBe(false);
  stream.resume();
  await turn();
  vi.advanceTimersByTime(1_000);
  expect(await failed).toMatchObject({ code: "timeout", message: expect.stringMatching(/1000 ms/) });
  await turns();
  expect(peer.sent.find(({ flags }) => flags === RST)).toMatchObject({ streamId: 1 });
});

test("no timer is left when a session is over, and none keeps a process alive", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  const sessions = openSessions();
  const pairs = await Promise.all([sessions.stream(), sessions.stream()]);
  pairs[0]?.[0].end();
  sessions.client.open();
  await turns();
  expect(vi.getTimerCount()).toBeGreaterThanOrEqual(4);
  sessions.client.close();
  while (!sessions.carriers.every(({ closed }) => closed)) await turn();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
  const before = timers();
  await using peer = new RawPeer({ keepAliveIntervalMs: 1_000 });
  peer.session.open().end();
  expect(timers()).toBe(before);
});

test("a listener that throws ends the session, and its error is not swallowed", async () => {
  const [carrier, other] = duplexPair();
  const session = new YamuxSession(carrier, { side: "client" });
  other.resume();
  session.open().on("data", () => {
    throw new RangeError("a user's mistake");
  });
  const bytes = Buffer.concat([header(DATA, ACK, 1, 1), Buffer.from("x")]);
  await turn();
  expect(() => carrier.emit("data", bytes)).toThrow("a user's mistake");
  expect(session.over.reason).toMatchObject({ code: "connection-lost", message: expect.stringMatching(/listener/) });
});

/** Lets everything happen that is due, pictures of sockets included. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function turns(): Promise<void> {
  for (let count = 0; count < 5; count += 1) await turn();
}

/** How many timers keep this process alive. */
function timers(): number {
  return process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
}
