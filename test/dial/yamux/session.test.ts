import { once } from "node:events";
import { expect, test } from "vitest";
import { PluginError } from "../../../src/contract/errors.ts";
import { eventually } from "../../tools/eventually.ts";
import fc from "../../tools/property.ts";
import { header, RawPeer } from "./raw-peer.ts";
import { openSessions } from "./sessions.ts";
import { bytes, collect, failureOf } from "./streams.ts";

const [DATA, WINDOW_UPDATE, PING, GO_AWAY] = [0, 1, 2, 3];
const [SYN, ACK, FIN, RST] = [1, 2, 4, 8];
const WINDOW = 262_144;
const patience = () => AbortSignal.timeout(20_000);

test("both sides open streams, and nothing is left when both halves have ended", async () => {
  await using sessions = openSessions();
  const { client, server } = sessions;
  for (const [opener, acceptor] of [
    [client, server],
    [server, client],
  ] as const) {
    const opened = opener.open();
    opened.end("a question");
    const accepted = await acceptor.accept(patience());
    expect((await collect(accepted)).toString()).toBe("a question");
    accepted.end("an answer");
    expect((await collect(opened)).toString()).toBe("an answer");
    await eventually(() => client.streams + server.streams === 0, { what: "both to forget the stream" });
    expect([opened.closed, accepted.closed]).toEqual([true, true]);
  }
});

test("what is written arrives, whatever the sizes and whoever writes, and ends on its own", async () => {
  const pieces = fc.array(fc.oneof(fc.nat(50), fc.nat(5_000), fc.nat(200_000)), { maxLength: 12 });
  const check = async (streams: (readonly [number[], number[]])[], receiveWindowBytes: number) => {
    await using sessions = openSessions({ receiveWindowBytes });
    await Promise.all(
      streams.map(async ([there, back]) => {
        const pair = await sessions.stream();
        const sums = [there, back].map((sizes, side) => {
          const chunks = sizes.map((size, index) => bytes(size, index));
          for (const chunk of chunks) pair[side as 0 | 1].write(chunk);
          pair[side as 0 | 1].end();
          return Buffer.concat(chunks);
        });
        const [atClient, atServer] = await Promise.all([collect(pair[0]), collect(pair[1])]);
        expect(atServer.equals(sums[0] as Buffer)).toBe(true);
        expect(atClient.equals(sums[1] as Buffer)).toBe(true);
      }),
    );
    await eventually(() => sessions.client.streams + sessions.server.streams === 0, { what: "no streams" });
  };
  const all = fc.array(fc.tuple(pieces, pieces), { minLength: 1, maxLength: 4 });
  await fc.assert(fc.asyncProperty(all, fc.constantFrom(WINDOW, WINDOW + 1, 1024 * 1024), check), { numRuns: 30 });
});

test("a stream begins with a window update and SYN, and is answered with ACK when it is accepted", async () => {
  await using peer = new RawPeer({ receiveWindowBytes: WINDOW });
  const stream = peer.session.open();
  stream.write("early");
  expect((await peer.until(DATA, 0, 1)).body.toString()).toBe("early");
  expect(peer.sent).toMatchObject([{ type: WINDOW_UPDATE, flags: SYN, streamId: 1, length: 0 }, { type: DATA }]);

  peer.send(WINDOW_UPDATE, SYN, 2);
  peer.send(DATA, 0, 2, Buffer.from("early too"));
  await eventually(() => peer.session.streams === 2, { what: "the stream" });
  peer.send(PING, SYN, 0, 77);
  expect((await peer.until(PING, ACK, 0)).length).toBe(77);
  expect(peer.sent.some(({ streamId }) => streamId === 2)).toBe(false);
  const accepted = await peer.session.accept();
  expect((await peer.until(WINDOW_UPDATE, ACK, 2)).length).toBe(0);
  expect((await once(accepted, "data")).toString()).toBe("early too");
});

test("a larger window is granted with SYN and with ACK", async () => {
  await using peer = new RawPeer({ receiveWindowBytes: 1_000_000 });
  peer.session.open();
  expect((await peer.until(WINDOW_UPDATE, SYN, 1)).length).toBe(1_000_000 - WINDOW);
  peer.send(WINDOW_UPDATE, SYN, 2);
  await peer.session.accept(patience());
  expect((await peer.until(WINDOW_UPDATE, ACK, 2)).length).toBe(1_000_000 - WINDOW);
});

test("a reader that stands still costs the others nothing, and the writer waits for it", async () => {
  await using sessions = openSessions({ receiveWindowBytes: WINDOW });
  const [writer, sleeper] = await sessions.stream();
  const content = bytes(2_000_000);
  let written = 0;
  for (let at = 0; at < content.length; at += 10_000) {
    writer.write(content.subarray(at, at + 10_000), () => {
      written += 1;
    });
  }
  writer.end();
  const [busy, reader] = await sessions.stream();
  const others = collect(reader);
  busy.end(content);
  expect((await others).equals(content)).toBe(true);
  expect(written).toBeLessThanOrEqual(27);
  expect(sleeper.readableLength).toBeLessThanOrEqual(WINDOW);
  expect((await collect(sleeper)).equals(content)).toBe(true);
  expect(written).toBe(200);
});

test("credit is given back when half of the window was read, and not before", async () => {
  await using peer = new RawPeer({ receiveWindowBytes: WINDOW });
  peer.send(WINDOW_UPDATE, SYN, 2);
  const stream = await peer.session.accept(patience());
  const updates = () => peer.sent.filter(({ type, flags }) => type === WINDOW_UPDATE && flags === 0);
  const pinged = async (id: number) => {
    peer.send(PING, SYN, 0, id);
    await eventually(() => peer.sent.some((frame) => frame.type === PING && frame.length === id), { what: "a pong" });
  };
  peer.send(DATA, 0, 2, bytes(200_000));
  await pinged(1);
  expect(updates()).toEqual([]);
  let read = 0;
  stream.on("data", (chunk: Buffer) => {
    read += chunk.length;
  });
  await eventually(() => read === 200_000, { what: "everything" });
  const first = await peer.until(WINDOW_UPDATE, 0, 2);
  expect(first.length).toBeGreaterThanOrEqual(WINDOW / 2);
  peer.send(DATA, 0, 2, bytes(WINDOW - 200_000 + first.length));
  await eventually(() => read === WINDOW + first.length, { what: "what the credit was for" });
  const granted = () => updates().reduce((sum, { length }) => sum + length, 0);
  await eventually(() => WINDOW + granted() - read > WINDOW / 2, { what: "more credit" });
  expect(WINDOW + granted() - read).toBeLessThanOrEqual(WINDOW);
});

test("streams take turns: a short one does not wait for long ones", async () => {
  await using peer = new RawPeer();
  const long = [peer.session.open(), peer.session.open(), peer.session.open(), peer.session.open()];
  const short = peer.session.open();
  for (const stream of long) stream.write(bytes(1_000_000));
  short.write("me too");
  await peer.until(DATA, 0, 9);
  const position = peer.sent.findIndex(({ type, streamId }) => type === DATA && streamId === 9);
  const before = peer.sent.slice(0, position).reduce((sum, { body }) => sum + body.length, 0);
  expect(before).toBeLessThanOrEqual(4 * 16_384);
  for (const stream of long) stream.destroy();
});

test("many small writes on many streams leave in few writes to the carrier", async () => {
  await using sessions = openSessions();
  let writes = 0;
  const [carrier] = sessions.carriers;
  const write = carrier.write.bind(carrier);
  carrier.write = ((...given: Parameters<typeof write>) => {
    writes += 1;
    return write(...given);
  }) as typeof carrier.write;
  const pairs = await Promise.all(Array.from({ length: 50 }, () => sessions.stream()));
  writes = 0;
  for (let round = 0; round < 100; round += 1) for (const [stream] of pairs) stream.write(bytes(20, round));
  for (const [stream] of pairs) stream.end();
  const all = await Promise.all(pairs.map(([, stream]) => collect(stream)));
  expect(all.map(({ length }) => length)).toEqual(pairs.map(() => 2_000));
  expect(writes).toBeLessThan(50);
});

test("a write that is far larger than any window, of a million pieces, is no trouble", async () => {
  await using sessions = openSessions();
  const [stream, other] = await sessions.stream();
  const piece = bytes(7);
  for (let count = 0; count < 300_000; count += 1) stream.write(piece);
  stream.end();
  expect((await collect(other)).length).toBe(2_100_000);
});

test("a stream that is destroyed before its end is reset, and the other side's fails", async () => {
  await using sessions = openSessions();
  const [mine, other] = await sessions.stream();
  const failed = failureOf(other);
  mine.write("some of it");
  mine.destroy();
  expect(await failed).toMatchObject({ code: "connection-lost" });
  expect(await failed).toBeInstanceOf(PluginError);
  expect(sessions.client.streams + sessions.server.streams).toBe(0);
  // The session goes on.
  const [next, answer] = await sessions.stream();
  next.end("hello");
  expect((await collect(answer)).toString()).toBe("hello");
});

test("a write that cannot be done fails when its stream is destroyed", async () => {
  await using peer = new RawPeer();
  const stream = peer.session.open();
  const written = new Promise<unknown>((resolve) => stream.write(bytes(1_000_000), resolve));
  await eventually(() => peer.sent.reduce((sum, { body }) => sum + body.length, 0) === WINDOW, { what: "the window" });
  stream.destroy();
  expect(await written).toMatchObject({ code: "closed" });
  await peer.until(WINDOW_UPDATE, RST, 1);
});

test("a stream that has ended on both sides is not reset, read or not", async () => {
  await using peer = new RawPeer();
  const stream = peer.session.open();
  stream.end("all");
  peer.send(DATA, ACK | FIN, 1, Buffer.from("all of it"));
  await peer.until(WINDOW_UPDATE, FIN, 1);
  await eventually(() => peer.session.streams === 0, { what: "the stream's end" });
  stream.destroy();
  peer.send(PING, SYN, 0, 5);
  await peer.until(PING, ACK, 0);
  expect(peer.sent.filter(({ flags }) => flags === RST)).toEqual([]);
});

test("what has come whole is read even after the session is over", async () => {
  await using sessions = openSessions();
  const [mine, other] = await sessions.stream();
  mine.end("first");
  other.end(bytes(150_000));
  expect((await collect(other)).toString()).toBe("first");
  await eventually(() => sessions.client.streams === 0, { what: "the end to come" });
  sessions.client.close();
  expect((await collect(mine)).length).toBe(150_000);
});

test("no more streams are announced than the other side has room for, and all arrive in the end", async () => {
  await using sessions = openSessions({ acceptBacklog: 4 });
  const streams = Array.from({ length: 50 }, (_, index) => sessions.client.open().end(String(index)));
  await eventually(() => sessions.server.streams === 4, { what: "four of them" });
  const found: string[] = [];
  for (const stream of streams) {
    const accepted = await sessions.server.accept(patience());
    found.push((await collect(accepted)).toString());
    accepted.end();
    stream.resume();
  }
  expect(found).toEqual(streams.map((_, index) => String(index)));
  await eventually(() => sessions.client.streams === 0, { what: "no stream to be left" });
});

test("a stream that was given up before it was announced is never announced", async () => {
  await using peer = new RawPeer({ acceptBacklog: 1 });
  const streams = [peer.session.open(), peer.session.open(), peer.session.open()];
  streams[1]?.destroy();
  streams[2]?.end("third");
  // It cannot know of the third, and cannot answer it.
  peer.send(WINDOW_UPDATE, ACK, 5);
  peer.send(WINDOW_UPDATE, ACK, 1);
  expect((await peer.until(DATA, 0, 5)).body.toString()).toBe("third");
  await peer.until(WINDOW_UPDATE, FIN, 5);
  expect(peer.sent.map(({ streamId }) => streamId)).not.toContain(3);
});

test("streams beyond the backlog are reset, and those in it are not", async () => {
  await using peer = new RawPeer({ acceptBacklog: 2 });
  for (const id of [2, 4, 6, 8]) peer.send(WINDOW_UPDATE, SYN, id);
  await peer.until(WINDOW_UPDATE, RST, 8);
  await peer.until(WINDOW_UPDATE, RST, 6);
  peer.send(DATA, FIN, 6, Buffer.from("dropped"));
  peer.send(DATA, FIN, 4, Buffer.from("four"));
  await peer.session.accept(patience());
  expect((await collect(await peer.session.accept(patience()))).toString()).toBe("four");
  expect(peer.session.over.aborted).toBe(false);
});

test("a stream that was reset while it waited is not accepted", async () => {
  await using peer = new RawPeer();
  peer.send(WINDOW_UPDATE, SYN, 2);
  peer.send(WINDOW_UPDATE, RST, 2);
  peer.send(PING, SYN, 0, 1);
  await peer.until(PING, ACK, 0);
  peer.send(DATA, SYN | FIN, 4, Buffer.from("four"));
  expect((await collect(await peer.session.accept(patience()))).toString()).toBe("four");
});

test("a stream that is reset while it is handed over is not accepted", async () => {
  await using peer = new RawPeer();
  const accepting = peer.session.accept(patience());
  peer.end.write(Buffer.concat([header(WINDOW_UPDATE, SYN, 2, 0), header(WINDOW_UPDATE, RST, 2, 0)]));
  peer.send(DATA, SYN | FIN, 4, Buffer.from("four"));
  expect((await collect(await accepting)).toString()).toBe("four");
});

test("those who wait for a stream are served in turn, and one who gives up loses nothing", async () => {
  await using peer = new RawPeer();
  const giveUp = new AbortController();
  const first = peer.session.accept(giveUp.signal);
  const second = peer.session.accept(patience());
  giveUp.abort();
  await expect(first).rejects.toMatchObject({ code: "aborted" });
  await expect(peer.session.accept(AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  peer.send(DATA, SYN | FIN, 2, Buffer.from("two"));
  expect((await collect(await second)).toString()).toBe("two");

  // It gives up in the very moment in which the stream comes, before it could know.
  const late = new AbortController();
  const third = peer.session.accept(late.signal);
  peer.session.open().on("data", () => late.abort());
  peer.end.write(
    Buffer.concat([header(DATA, SYN | FIN, 4, 4), Buffer.from("four"), header(DATA, ACK, 1, 1), Buffer.from("x")]),
  );
  await expect(third).rejects.toMatchObject({ code: "aborted" });
  expect((await collect(await peer.session.accept(patience()))).toString()).toBe("four");
});

test("after the other side's go-away nothing is opened, and what is open goes on", async () => {
  await using peer = new RawPeer();
  const stream = peer.session.open();
  peer.send(GO_AWAY, 0, 0, 0);
  peer.send(DATA, ACK, 1, Buffer.from("still here"));
  expect((await once(stream, "data")).toString()).toBe("still here");
  expect(() => peer.session.open()).toThrow(expect.objectContaining({ code: "closed" }));
  stream.end("so am I");
  expect((await peer.until(DATA, 0, 1)).body.toString()).toBe("so am I");
  peer.send(WINDOW_UPDATE, SYN, 2);
  await peer.session.accept(patience());
  peer.end.destroy();
  expect(await peer.over()).toMatchObject({ code: "closed" });
});

test("close says go-away, ends everything with the reason, and closes the carrier", async () => {
  await using peer = new RawPeer();
  const reason = new PluginError("plugin-exited", "It has ended.");
  const stream = peer.session.open();
  const failed = failureOf(stream);
  const accepting = peer.session.accept();
  const [heard, ended] = [once(peer.session.over, "abort"), once(peer.end, "end")];
  peer.session.close(reason);
  peer.session.close();
  expect(await failed).toBe(reason);
  await expect(accepting).rejects.toBe(reason);
  await expect(peer.session.accept()).rejects.toBe(reason);
  expect(() => peer.session.open()).toThrow(reason);
  await heard;
  await ended;
  expect(peer.sent.at(-1)).toMatchObject({ type: GO_AWAY, streamId: 0, length: 0 });
  expect(peer.session.streams).toBe(0);
  await peer.session[Symbol.asyncDispose]();
  await eventually(() => peer.end.closed, { what: "the carrier's end" });
});

test("options that cannot be used are refused", () => {
  const wrong = [
    { side: "host" },
    { acceptBacklog: 0 },
    { receiveWindowBytes: WINDOW - 1 },
    { keepAliveIntervalMs: -1 },
    { openTimeoutMs: 1.5 },
    { streamCloseTimeoutMs: 2 ** 31 },
  ];
  for (const options of wrong) {
    expect(() => new RawPeer(options as object)).toThrow(expect.objectContaining({ code: "bad-options" }));
  }
});
