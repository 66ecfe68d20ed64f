import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { PREFACE, RST_STREAM, SETTINGS, writeHeader } from "../../src/carry/frames.ts";
import { eventually } from "../tools/eventually.ts";
import fc from "../tools/property.ts";
import { type Spliced, startSpliced } from "./spliced.ts";

/** The whole of what a stream says; rejects if it is reset. */
function answerOf(stream: ClientHttp2Stream): Promise<Buffer> {
  const pieces: Buffer[] = [];
  return new Promise((resolve, reject) => {
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => resolve(Buffer.concat(pieces)));
    stream.on("error", reject);
    stream.on("close", () => stream.rstCode && reject(new Error(`reset with ${stream.rstCode}`)));
  });
}

function echo({ server }: Spliced): void {
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
}

function sessionOf({ server }: Spliced): Promise<ServerHttp2Session> {
  return new Promise((resolve) => server.once("session", resolve));
}

function connected(client: ClientHttp2Session): Promise<unknown> {
  return new Promise((resolve) => client.once("remoteSettings", resolve));
}

describe("everything passes", () => {
  test("1,000 streams at once, each with its own answer", async () => {
    await using spliced = await startSpliced();
    echo(spliced);
    const client = spliced.client();
    const answers = Array.from({ length: 1_000 }, async (_, nth) => {
      const said = `payload ${nth} ${"x".repeat(nth % 300)}`;
      const stream = client.request({ ":method": "POST", ":path": `/s/${nth}`, "x-nth": String(nth) });
      stream.end(said);
      expect((await answerOf(stream)).toString()).toBe(said);
    });
    await Promise.all(answers);
    client.close();
    await eventually(() => spliced.ends.length === 1, { what: "the end" });
    expect(spliced.ends).toEqual([undefined]);
  });

  test("pings", async () => {
    await using spliced = await startSpliced();
    const client = spliced.client();
    await connected(client);
    const payload = Buffer.from("8 bytes!");
    const pong = new Promise<Buffer>((resolve, reject) => {
      client.ping(payload, (failure, _ms, back) => (failure ? reject(failure) : resolve(back)));
    });
    expect(await pong).toEqual(payload);
  });

  test("an answer of trailers alone", async () => {
    await using spliced = await startSpliced();
    spliced.server.on("stream", (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "grpc-status": "12", "grpc-message": "no such method" }, { endStream: true });
    });
    const stream = spliced.client().request({ ":method": "POST", ":path": "/none" });
    stream.end();
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
    expect(headers).toMatchObject({ "grpc-status": "12", "grpc-message": "no such method" });
  });

  test("settings of either side", async () => {
    await using spliced = await startSpliced();
    const session = sessionOf(spliced);
    const client = spliced.client({ settings: { initialWindowSize: 123_456 } });
    await connected(client);
    const server = await session;
    await eventually(() => server.remoteSettings.initialWindowSize === 123_456, { what: "the client's settings" });
    const settled = new Promise((resolve) => client.once("remoteSettings", resolve));
    server.settings({ maxConcurrentStreams: 17, headerTableSize: 0 });
    expect(await settled).toMatchObject({ maxConcurrentStreams: 17, headerTableSize: 0 });
  });

  test("GOAWAY, after which the streams that were begun go on", async () => {
    await using spliced = await startSpliced();
    const session = sessionOf(spliced);
    const streams: ServerHttp2Stream[] = [];
    spliced.server.on("stream", (stream: ServerHttp2Stream) => streams.push(stream));
    const client = spliced.client();
    const request = client.request({ ":method": "POST", ":path": "/slow" });
    const stream = await eventually(() => streams[0], { what: "the request" });
    const goaway = new Promise<[number, number, Buffer]>((resolve) => {
      client.once("goaway", (code, last, data) => resolve([code, last, data]));
    });
    (await session).goaway(constants.NGHTTP2_NO_ERROR, 1, Buffer.from("enough"));
    const [code, last, data] = await goaway;
    expect([code, last, data.toString()]).toEqual([constants.NGHTTP2_NO_ERROR, 1, "enough"]);
    stream.respond({ ":status": 200 });
    stream.end("still here");
    request.end();
    expect((await answerOf(request)).toString()).toBe("still here");
  });

  test("resets from either side, which leave the other streams alone", async () => {
    await using spliced = await startSpliced();
    const closed: number[] = [];
    spliced.server.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => {});
      stream.on("close", () => headers[":path"] === "/cancelled" && closed.push(stream.rstCode));
      stream.respond({ ":status": 200 });
      if (headers[":path"] === "/refused") stream.close(constants.NGHTTP2_REFUSED_STREAM);
      else stream.pipe(stream);
    });
    const client = spliced.client();
    const calm = client.request({ ":method": "POST", ":path": "/calm" });
    const refused = client.request({ ":method": "POST", ":path": "/refused" });
    refused.on("error", () => {}).resume();
    await new Promise((resolve) => refused.once("close", resolve));
    expect(refused.rstCode).toBe(constants.NGHTTP2_REFUSED_STREAM);
    const cancelled = client.request({ ":method": "POST", ":path": "/cancelled" });
    await new Promise((resolve) => cancelled.once("response", resolve));
    cancelled.on("error", () => {}).close(constants.NGHTTP2_CANCEL);
    await eventually(() => closed.includes(constants.NGHTTP2_CANCEL), { what: "the client's reset" });
    calm.end("calm");
    expect((await answerOf(calm)).toString()).toBe("calm");
  });

  test("a stream that nobody reads stands still, and the others do not", async () => {
    await using spliced = await startSpliced();
    const held: ServerHttp2Stream[] = [];
    spliced.server.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.on("error", () => {});
      stream.respond({ ":status": 200 });
      if (headers[":path"] === "/held") held.push(stream);
      else stream.pipe(stream);
    });
    const client = spliced.client();
    const stuck = client.request({ ":method": "POST", ":path": "/held" });
    const data = Buffer.alloc(1024 * 1024, "h");
    stuck.end(data);
    await eventually(() => held.length === 1, { what: "the stream that is held" });
    for (let nth = 0; nth < 20; nth++) {
      const stream = client.request({ ":method": "POST", ":path": "/free" });
      stream.end(`free ${nth}`);
      expect((await answerOf(stream)).toString()).toBe(`free ${nth}`);
    }
    expect(stuck.writableFinished).toBe(false);
    const [stream] = held;
    stream?.pipe(stream);
    expect((await answerOf(stuck)).equals(data)).toBe(true);
  });

  test("headers of many frames, and frames of kinds that nobody knows", async () => {
    await using spliced = await startSpliced({});
    spliced.server.on("stream", (stream: ServerHttp2Stream, headers) => {
      stream.respond({ ":status": 200, "x-length": String(headers["x-long"]?.length) });
      stream.end();
    });
    const client = spliced.client();
    const stream = client.request({ ":method": "POST", ":path": "/long", "x-long": "ä1".repeat(20_000) });
    stream.end();
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
    expect(headers["x-length"]).toBe("40000");
  });

  test("the end of either side, at once", async () => {
    for (const who of ["client", "server"]) {
      await using spliced = await startSpliced();
      echo(spliced);
      const session = sessionOf(spliced);
      const client = spliced.client();
      const stream = client.request({ ":method": "POST", ":path": "/" });
      await new Promise((resolve) => stream.once("response", resolve));
      const closed = new Promise((resolve) => client.once("close", resolve));
      stream.on("error", () => {});
      if (who === "client") client.destroy();
      else (await session).destroy();
      await closed;
      await eventually(() => spliced.ends.length === 1, { what: `the end after the ${who} went` });
    }
  });
});

describe("what is not HTTP/2", () => {
  test("from the client ends both, and says so", async () => {
    await using spliced = await startSpliced();
    const socket = await raw(spliced, Buffer.from("GET / HTTP/1.1\r\n\r\n"));
    await eventually(() => spliced.ends.length === 1, { what: "the end" });
    expect(spliced.ends[0]).toMatchObject({ code: "connection-lost", message: expect.stringContaining("not HTTP/2") });
    await eventually(() => socket.destroyed, { what: "the socket's end" });
  });

  const malformed: [what: string, bytes: Buffer][] = [
    ["headers that cannot be read", Buffer.from([0, 0, 1, 1, 5, 0, 0, 0, 1, 0x80])],
    ["a continuation of nothing", Buffer.from([0, 0, 1, 9, 4, 0, 0, 0, 1, 0x82])],
    ["another frame amid headers", Buffer.from([0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82, 0, 0, 0, 0, 0, 0, 0, 0, 1])],
    ["more padding than frame", Buffer.from([0, 0, 2, 1, 12, 0, 0, 0, 1, 9, 0x82])],
    ["settings without end", writeHeader({ length: 2 ** 24 - 1, type: SETTINGS, flags: 0, id: 0 })],
  ];
  test.each(malformed)("%s ends both", async (_what, bytes) => {
    await using spliced = await startSpliced();
    const socket = await raw(spliced, Buffer.concat([PREFACE, Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]), bytes]));
    await eventually(() => spliced.ends.length === 1, { what: "the end" });
    expect(spliced.ends[0]).toMatchObject({ code: "connection-lost" });
    await eventually(() => socket.destroyed, { what: "the socket's end" });
  });

  test("passes unread where that is wished for, and is warned of", async () => {
    const heard: Buffer[] = [];
    await using spliced = await startSpliced({ foreign: "pass" });
    // Node's server has sent SETTINGS by then, which pass; what it makes of the rest is its own affair.
    spliced.server.on("connection", (socket: Socket) => socket.on("data", (chunk) => heard.push(chunk)));
    await raw(spliced, Buffer.from([0x16, 3, 1, 0, 5]));
    await eventually(() => spliced.warnings.length === 1, { what: "the warning" });
    expect(spliced.warnings[0]).toMatch(/passes unread/);
  });

  test("random bytes after the preface crash nothing", async () => {
    await using spliced = await startSpliced();
    let count = 0;
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 9, maxLength: 300 }), async (bytes) => {
        const socket = await raw(spliced, Buffer.concat([PREFACE, bytes]));
        count += 1;
        await new Promise((resolve) => socket.write("", resolve));
        socket.destroy();
        await eventually(() => spliced.ends.length === count, { what: "the end" });
      }),
      { numRuns: 100 },
    );
  });

  test("a reset of a stream that never was passes", async () => {
    await using spliced = await startSpliced();
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const reset = Buffer.concat([writeHeader({ length: 4, type: RST_STREAM, flags: 0, id: 7 }), Buffer.alloc(4)]);
    await raw(spliced, Buffer.concat([PREFACE, settings, reset]));
    // Node's server answers this protocol error with GOAWAY and closes.
    await eventually(() => spliced.ends.length === 1, { what: "the server's end" });
    expect(spliced.ends).toEqual([undefined]);
  });
});

/** Sends bytes through the splice, and reads what comes. */
async function raw({ path }: Spliced, bytes: Buffer): Promise<Socket> {
  const socket = connect({ path });
  socket.on("error", () => {}).resume();
  socket.write(bytes);
  return socket;
}
