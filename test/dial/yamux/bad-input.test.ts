import { once } from "node:events";
import { expect, test } from "vitest";
import { eventually } from "../../tools/eventually.ts";
import { header, RawPeer } from "./raw-peer.ts";
import { bytes, collect, failureOf } from "./streams.ts";

const [DATA, WINDOW_UPDATE, PING, GO_AWAY] = [0, 1, 2, 3];
const [SYN, ACK, FIN, RST] = [1, 2, 4, 8];
const WINDOW = 262_144;

/** What breaks the protocol, and what is said of it. The session is the client and has opened stream 1. */
const FORBIDDEN: [what: string, send: (peer: RawPeer) => void, said: RegExp][] = [
  ["another version", (peer) => peer.end.write(Buffer.concat([Buffer.of(1), header(0, 0, 1, 0)])), /of version 1\./],
  ["another protocol", (peer) => peer.end.write("HTTP/1.1 400 Bad Request\r\n\r\n"), /of version 72\./],
  ["an unknown type", (peer) => peer.send(4, 0, 1), /unknown type 4\./],
  ["our parity", (peer) => peer.send(WINDOW_UPDATE, SYN, 3), /id 3, which is not free/],
  ["stream 0", (peer) => peer.send(WINDOW_UPDATE, SYN, 0), /id 0, which is not free/],
  [
    "the id of an open stream",
    (peer) => {
      peer.send(WINDOW_UPDATE, SYN, 2);
      peer.send(WINDOW_UPDATE, SYN, 2);
    },
    /id 2, which is not free/,
  ],
  [
    "the id of a stream that is no more",
    (peer) => {
      peer.send(WINDOW_UPDATE, SYN, 2);
      peer.send(WINDOW_UPDATE, RST, 2);
      peer.send(DATA, SYN, 2);
    },
    /id 2, which is not free/,
  ],
  [
    "a byte more than the window",
    (peer) => {
      peer.send(WINDOW_UPDATE, SYN, 2);
      peer.send(DATA, 0, 2, bytes(WINDOW));
      peer.send(DATA, 0, 2, bytes(1));
    },
    /more on stream 2 than it had credit for/,
  ],
  ["a frame that is larger than the window", (peer) => peer.send(DATA, SYN, 2, 0, WINDOW + 1), /more on stream 2/],
];

test.each(FORBIDDEN)("%s ends the session with a go-away for a protocol error", async (_, send, said) => {
  await using peer = new RawPeer();
  const failed = failureOf(peer.session.open());
  send(peer);
  const reason = await peer.over();
  expect(reason).toMatchObject({ code: "connection-lost", hint: expect.stringMatching(/yamux/) });
  expect((reason as Error).message).toMatch(said);
  expect((await peer.until(GO_AWAY, 0, 0)).length).toBe(1);
  expect(await failed).toBe(reason);
  expect(() => peer.session.open()).toThrow(reason as Error);
  await expect(peer.session.accept()).rejects.toBe(reason);
  await eventually(() => peer.end.closed, { what: "the carrier's end" });
});

test.each([
  [1, /a protocol error/],
  [2, /an internal error/],
  [77, /does not know \(77\)/],
])("a go-away with code %i ends the session", async (code, said) => {
  await using peer = new RawPeer();
  const failed = failureOf(peer.session.open());
  peer.send(GO_AWAY, 0, 0, code);
  expect(await peer.over()).toMatchObject({ code: "connection-lost", message: expect.stringMatching(said) });
  expect(await failed).toBe(peer.session.over.reason);
});

test("what belongs to no stream is ignored, with its data", async () => {
  await using peer = new RawPeer();
  peer.send(DATA, 0, 9, bytes(1_000_000));
  peer.send(DATA, FIN | ACK, 0, Buffer.from("x"));
  for (const flags of [0, ACK, FIN, RST]) peer.send(WINDOW_UPDATE, flags, 12, 5);
  peer.send(PING, ACK, 0, 4711);
  peer.send(PING, 0, 0, 4712);
  peer.send(DATA, SYN | FIN, 2, Buffer.from("fine"));
  expect((await collect(await peer.session.accept(AbortSignal.timeout(20_000)))).toString()).toBe("fine");
  expect(peer.session.over.aborted).toBe(false);
  expect(peer.sent.filter(({ streamId }) => streamId !== 2)).toEqual([]);
});

test("what comes after a stream's end is dropped, and a second end is no news", async () => {
  await using peer = new RawPeer();
  const stream = peer.session.open();
  peer.send(DATA, ACK | FIN, 1, Buffer.from("the end"));
  peer.send(DATA, 0, 1, Buffer.from("not the end"));
  peer.send(DATA, FIN, 1, Buffer.from("neither"));
  peer.send(WINDOW_UPDATE, FIN, 1);
  expect((await collect(stream)).toString()).toBe("the end");
  stream.write("I go on");
  expect((await peer.until(DATA, 0, 1)).body.toString()).toBe("I go on");
});

test("credit beyond all measure is taken as it comes", async () => {
  await using peer = new RawPeer();
  const stream = peer.session.open();
  for (let count = 0; count < 10; count += 1) peer.send(WINDOW_UPDATE, 0, 1, 0xffff_ffff);
  stream.end(bytes(1_000_000));
  await peer.until(WINDOW_UPDATE, FIN, 1);
  expect(peer.sent.reduce((sum, { body }) => sum + body.length, 0)).toBe(1_000_000);
});

test("a reset in the middle of a frame's data ends the stream at once, and its data are skipped", async () => {
  await using peer = new RawPeer();
  const stream = peer.session.open();
  const failed = failureOf(stream);
  peer.send(DATA, ACK, 1, Buffer.from("some"));
  expect((await once(stream, "data")).toString()).toBe("some");
  peer.send(DATA, RST, 1, bytes(5_000));
  expect(await failed).toMatchObject({ code: "connection-lost", message: expect.stringMatching(/reset/) });
  peer.send(PING, SYN, 0, 3);
  await peer.until(PING, ACK, 0);
  // A reset is not answered.
  expect(peer.sent.filter(({ flags }) => flags === RST)).toEqual([]);
});

test("a stream that is destroyed while a frame for it comes is forgotten, and the rest of the frame is skipped", async () => {
  await using peer = new RawPeer();
  const stream = peer.session.open();
  const body = bytes(100_000);
  peer.end.write(Buffer.concat([header(DATA, ACK, 1, body.length), body.subarray(0, 10)]));
  await once(stream, "data");
  stream.destroy();
  peer.end.write(body.subarray(10));
  peer.send(PING, SYN, 0, 3);
  await peer.until(PING, ACK, 0);
  await peer.until(WINDOW_UPDATE, RST, 1);
});

test("one who asks without end and does not listen is left", async () => {
  await using peer = new RawPeer();
  peer.end.pause();
  const pings = Buffer.concat(Array.from({ length: 10_000 }, (_, id) => header(PING, SYN, 0, id)));
  for (let count = 0; count < 20; count += 1) peer.end.write(pings);
  expect(await peer.over()).toMatchObject({ message: expect.stringMatching(/asks for answers/) });
});
