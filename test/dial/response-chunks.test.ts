import { once } from "node:events";
import { type ClientHttp2Session, connect, type ServerHttp2Stream } from "node:http2";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { responseChunks } from "../../src/dial/response-chunks.ts";
import { startHttp2Server } from "./http2-server.ts";

/** Answers with a body and trailers, in one go. */
function answer(stream: ServerHttp2Stream, ...body: Buffer[]): void {
  stream.respond({ ":status": 200 }, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
  for (const chunk of body) stream.write(chunk);
  stream.end();
}

async function request(session: ClientHttp2Session, path: string) {
  const stream = session.request({ ":method": "POST", ":path": path });
  stream.on("error", () => {});
  stream.end();
  await once(stream, "response");
  return stream;
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return Buffer.concat(all);
}

const BIG = Buffer.alloc(3_000_000, "0123456789");

test.each([
  ["nothing", []],
  ["one piece", [Buffer.from("hello")]],
  ["more than a window", [BIG, BIG]],
])("gives all of a complete answer: %s", async (_, body) => {
  await using server = await startHttp2Server((stream) => answer(stream, ...body));
  const socket = await server.open();
  const session = connect("http://localhost", { createConnection: () => socket });
  const stream = await request(session, "/");
  expect((await collect(responseChunks(stream))).equals(Buffer.concat(body))).toBe(true);
  session.destroy();
});

test("gives all of an answer that had arrived whole, trailers included, before it was read", async () => {
  await using server = await startHttp2Server((stream) => answer(stream, Buffer.from("hello")));
  const socket = await server.open();
  const session = connect("http://localhost", { createConnection: () => socket });
  const stream = await request(session, "/");
  if (!stream.closed) await once(stream, "trailers");
  await new Promise(setImmediate);
  expect(stream.readableLength).toBeGreaterThan(0);
  expect((await collect(responseChunks(stream))).toString()).toBe("hello");
  session.destroy();
});

test("an answer that breaks off is not taken for a complete one", async () => {
  await using server = await startHttp2Server((stream) => {
    stream.respond({ ":status": 200 });
    stream.write("half", () => stream.session?.destroy());
  });
  const socket = await server.open();
  const session = connect("http://localhost", { createConnection: () => socket });
  session.on("error", () => {});
  const stream = await request(session, "/");
  await expect(collect(responseChunks(stream))).rejects.toThrow();
  session.destroy();
});

test("a stream that is destroyed before it is read is unavailable", async () => {
  await using server = await startHttp2Server((stream) => stream.respond({ ":status": 200 }));
  const socket = await server.open();
  const session = connect("http://localhost", { createConnection: () => socket });
  const stream = await request(session, "/");
  stream.destroy();
  const failure = await collect(responseChunks(stream)).catch((error) => error);
  expect(failure).toBeInstanceOf(ConnectError);
  expect(failure.code).toBe(Code.Unavailable);
  session.destroy();
});

test("who stops reading ends the stream and leaves no listener", async () => {
  let closed = false;
  await using server = await startHttp2Server((stream) => {
    stream.on("close", () => {
      closed = true;
    });
    stream.respond({ ":status": 200 });
    stream.write("first");
  });
  const socket = await server.open();
  const session = connect("http://localhost", { createConnection: () => socket });
  const stream = await request(session, "/");
  for await (const chunk of responseChunks(stream)) {
    expect(chunk.toString()).toBe("first");
    break;
  }
  expect(stream.destroyed).toBe(true);
  expect(stream.listenerCount("readable")).toBe(0);
  if (!closed) await new Promise((resolve) => session.once("close", resolve).close());
  expect(closed).toBe(true);
});
