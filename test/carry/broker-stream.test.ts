import type { ClientHttp2Session, ClientHttp2Stream, ServerHttp2Stream } from "node:http2";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { readConnInfo } from "../../src/carry/conn-info.ts";
import type { Rewrite } from "../../src/carry/splice.ts";
import { type Address, formatAddress } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { type Later, later } from "../../src/lifetime/later.ts";
import { eventually } from "../tools/eventually.ts";
import { announcement, announcementsIn, grpcFrame, messagesIn } from "./announcements.ts";
import { type Spliced, startSpliced } from "./spliced.ts";

const START = { ":method": "POST", ":path": "/plugin.GRPCBroker/StartStream", "content-type": "application/grpc" };

/** A broker's stream with both ends in hand. */
interface Broker {
  readonly spliced: Spliced;
  readonly request: ClientHttp2Stream;
  readonly answer: ServerHttp2Stream;
  /** What has come out at each end. */
  readonly atHost: () => Buffer;
  readonly atPlugin: () => Buffer;
}

async function openBroker(spliced: Spliced): Promise<Broker> {
  const arrived = later<ServerHttp2Stream>();
  spliced.server.on("stream", (stream: ServerHttp2Stream, headers) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    if (headers[":path"] === START[":path"]) arrived.resolve(stream);
    else stream.pipe(stream);
  });
  const request = spliced.client().request(START);
  request.on("error", () => {});
  const answer = await arrived.promise;
  return { spliced, request, answer, atHost: collect(request), atPlugin: collect(answer) };
}

function collect(stream: ClientHttp2Stream | ServerHttp2Stream): () => Buffer {
  const pieces: Buffer[] = [];
  stream.on("data", (piece: Buffer) => pieces.push(piece));
  return () => Buffer.concat(pieces);
}

function unix(path: string): Address {
  return { network: "unix", path };
}

/** Puts something before each address. */
function behind(prefix: string): Rewrite {
  return async (address) => unix(`${prefix}${formatAddress(address)}`);
}

const said = (id: number, address: string, network = "unix") => ({ id, network, address });

describe("what brokers announce", () => {
  test("is rewritten in both directions, made longer or shorter", async () => {
    await using spliced = await startSpliced({
      fromClient: behind(`/box/${"long/".repeat(50)}`),
      fromServer: async () => unix("/h"),
    });
    const { request, answer, atHost, atPlugin } = await openBroker(spliced);
    request.write(announcement(said(1, "/tmp/plugin1")));
    answer.write(announcement(said(1, "/tmp/gp-12345678/plugin99")));
    request.write(announcement(said(2, "127.0.0.1:1234", "tcp")));
    await eventually(() => announcementsIn(atPlugin()).length === 2, { what: "the host's" });
    await eventually(() => announcementsIn(atHost()).length === 1, { what: "the plugin's" });
    const prefix = `/box/${"long/".repeat(50)}`;
    expect(announcementsIn(atPlugin())).toEqual([said(1, `${prefix}/tmp/plugin1`), said(2, `${prefix}127.0.0.1:1234`)]);
    expect(announcementsIn(atHost())).toEqual([said(1, "/h")]);
  });

  test("keeps its order, however long each one takes, and holds up no other stream", async () => {
    const slow = later<void>();
    await using spliced = await startSpliced({
      fromClient: async (address) => {
        if (formatAddress(address) === "/first") await slow.promise;
        return unix(`/box${formatAddress(address)}`);
      },
    });
    const { request, atPlugin } = await openBroker(spliced);
    request.write(announcement(said(1, "/first")));
    request.write(announcement(said(2, "/second")));
    const other = spliced.client().request({ ":method": "POST", ":path": "/other" });
    other.end("meanwhile");
    const answered = collect(other);
    await eventually(() => answered().toString() === "meanwhile", { what: "the other stream" });
    expect(atPlugin()).toHaveLength(0);
    slow.resolve();
    await eventually(() => announcementsIn(atPlugin()).length === 2, { what: "both" });
    expect(announcementsIn(atPlugin()).map(({ address }) => address)).toEqual(["/box/first", "/box/second"]);
  });

  test("begins to be rewritten at once, many at a time", async () => {
    const waiting: Later<void>[] = [];
    await using spliced = await startSpliced({
      fromClient: async (address) => {
        const turn = later<void>();
        waiting.push(turn);
        await turn.promise;
        return address;
      },
    });
    const { request, atPlugin } = await openBroker(spliced);
    for (let id = 0; id < 200; id++) request.write(announcement(said(id, `/tmp/plugin${id}`)));
    await eventually(() => waiting.length === 200, { what: "all of them to be under way" });
    for (const turn of waiting.reverse()) turn.resolve();
    await eventually(() => announcementsIn(atPlugin()).length === 200, { what: "all of them" });
    expect(announcementsIn(atPlugin()).map(({ id }) => id)).toEqual(Array.from({ length: 200 }, (_, id) => id));
  });

  test("may come in pieces, however small, and several in one", async () => {
    await using spliced = await startSpliced({ fromClient: behind("/box") });
    const { request, atPlugin } = await openBroker(spliced);
    const all = Buffer.concat([0, 1, 2, 3].map((id) => announcement(said(id, `/tmp/plugin${id}`))));
    for (const byte of all.subarray(0, 70)) request.write(Buffer.of(byte));
    request.write(all.subarray(70));
    await eventually(() => announcementsIn(atPlugin()).length === 4, { what: "all of them" });
    expect(announcementsIn(atPlugin())).toEqual([0, 1, 2, 3].map((id) => said(id, `/box/tmp/plugin${id}`)));
  });

  test("of which nothing but network and address is changed", async () => {
    await using spliced = await startSpliced({ fromClient: behind("/box") });
    const { request, atPlugin } = await openBroker(spliced);
    // A number, eight bytes, four bytes and a text in fields that nobody knows, and a knock.
    const unknown = Buffer.from(
      "f8 06 96 01  f9 06 01 02 03 04 05 06 07 08  fd 06 01 02 03 04  fa 06 02 68 69".replaceAll(" ", ""),
      "hex",
    );
    request.write(announcement(said(1, "/tmp/a"), unknown));
    const knock = grpcFrame(Buffer.from([8, 7, 0x22, 2, 8, 1]));
    request.write(knock);
    await eventually(() => messagesIn(atPlugin()).length === 2, { what: "both" });
    const [first, second] = messagesIn(atPlugin());
    expect(first).toEqual(messagesIn(announcement(said(1, "/box/tmp/a"), unknown))[0]);
    expect(second).toEqual(messagesIn(knock)[0]);
    expect(spliced.warnings).toEqual([]);
  });

  test("may be packed with gzip; what else it is packed with passes", async () => {
    await using spliced = await startSpliced({ fromClient: behind("/box") });
    const { request, atPlugin } = await openBroker(spliced);
    const [message = Buffer.alloc(0)] = messagesIn(announcement(said(1, "/tmp/a")));
    request.write(grpcFrame(gzipSync(message), 1));
    const odd = grpcFrame(Buffer.from("packed in another way"), 1);
    request.write(odd);
    await eventually(() => messagesIn(atPlugin()).length === 2, { what: "both" });
    expect(announcementsIn(atPlugin().subarray(0, -odd.length))).toEqual([said(1, "/box/tmp/a")]);
    expect(atPlugin().subarray(-odd.length)).toEqual(odd);
  });

  test("says why, if it cannot be rewritten", async () => {
    await using spliced = await startSpliced({
      fromClient: async () => {
        throw new PluginError("forward-forbidden", "The server forbids it.");
      },
    });
    const { request, atPlugin } = await openBroker(spliced);
    request.write(announcement(said(1, "/tmp/a")));
    request.write(announcement(said(2, "somewhere", "ipx")));
    await eventually(() => announcementsIn(atPlugin()).length === 2, { what: "both" });
    for (const { network } of announcementsIn(atPlugin())) expect(network).toBe("unreachable");
    expect(announcementsIn(atPlugin())[0]?.address).toMatch(/^\/tmp\/a, because .*forward-forbidden.*forbids it/);
    expect(spliced.warnings).toHaveLength(2);
  });

  test("that is no announcement passes, with a warning", async () => {
    await using spliced = await startSpliced();
    const { request, atPlugin } = await openBroker(spliced);
    const odd = grpcFrame(Buffer.from([0xff, 0xff, 0xff]));
    request.write(odd);
    await eventually(() => atPlugin().equals(odd), { what: "it" });
    expect(spliced.warnings).toHaveLength(1);
  });

  test("that is absurdly long ends the connection", async () => {
    await using spliced = await startSpliced();
    const { request } = await openBroker(spliced);
    request.write(Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]));
    await eventually(() => spliced.ends.length === 1, { what: "the end" });
    expect(spliced.ends[0]).toMatchObject({ code: "connection-lost" });
  });
});

describe("the end of the broker's stream while something is being rewritten", () => {
  async function pending() {
    const begun = later<AbortSignal>();
    const finish = later<void>();
    const spliced = await startSpliced({
      fromClient: async (_address, signal) => {
        begun.resolve(signal);
        await finish.promise;
        return unix("/box");
      },
      fromServer: async (_address, signal) => {
        begun.resolve(signal);
        await finish.promise;
        return unix("/host");
      },
    });
    return { spliced, begun, finish, broker: await openBroker(spliced) };
  }

  test("by the host's half: it comes after what is under way", async () => {
    const { spliced, begun, finish, broker } = await pending();
    await using _ = spliced;
    const ended = later<void>();
    broker.answer.on("end", () => ended.resolve());
    broker.request.end(announcement(said(1, "/tmp/a")));
    await begun.promise;
    expect(broker.answer.readableEnded).toBe(false);
    finish.resolve();
    await ended.promise;
    expect(announcementsIn(broker.atPlugin())).toEqual([said(1, "/box")]);
  });

  test("by the plugin's trailers: they do not wait, nor do the other streams", async () => {
    const { spliced, begun, finish, broker } = await pending();
    await using _ = spliced;
    const trailers = new Promise<Record<string, unknown>>((resolve) => broker.request.once("trailers", resolve));
    broker.answer.end(announcement(said(1, "/tmp/a")));
    const signal = await begun.promise;
    expect((await trailers)["grpc-status"]).toBe("0");
    expect(signal.aborted).toBe(true);
    finish.resolve();
    const other = spliced.client().request({ ":method": "POST", ":path": "/other" });
    other.end("after it");
    const answered = collect(other);
    await eventually(() => answered().toString() === "after it", { what: "another stream" });
    expect(broker.atHost()).toHaveLength(0);
  });

  test.each(["host", "plugin"])("by a reset of the %s's", async (who) => {
    const { spliced, begun, finish, broker } = await pending();
    await using _ = spliced;
    const [from, to] = who === "host" ? [broker.request, broker.answer] : [broker.answer, broker.request];
    const closed = new Promise((resolve) => to.once("close", resolve));
    from.write(announcement(said(1, "/tmp/a")));
    const signal = await begun.promise;
    const { session } = broker.request;
    from.close(8);
    await closed;
    await eventually(() => signal.aborted, { what: "the rewriting to be given up" });
    finish.resolve();
    expect(to.rstCode).toBe(8);
    const other = (session as ClientHttp2Session).request({ ":method": "POST", ":path": "/other" });
    other.end("after it");
    const answered = collect(other);
    await eventually(() => answered().toString() === "after it", { what: "another stream" });
    expect(spliced.ends).toEqual([]);
  });

  test("with the connection", async () => {
    const { spliced, begun, finish, broker } = await pending();
    await using _ = spliced;
    broker.request.write(announcement(said(1, "/tmp/a")));
    const signal = await begun.promise;
    broker.request.session?.destroy();
    await eventually(() => spliced.ends.length === 1 && signal.aborted, { what: "the end" });
    finish.resolve();
  });
});

describe("an announcement", () => {
  test("whose fields come twice or in another order means the last ones", () => {
    const text = (field: number, value: string) =>
      Buffer.concat([Buffer.of(field * 8 + 2, value.length), Buffer.from(value)]);
    const message = Buffer.concat([text(3, "/a"), text(2, "tcp"), Buffer.of(8, 1), text(3, "/b"), text(2, "unix")]);
    const info = readConnInfo(message);
    expect(info?.whereabouts).toEqual({ network: "unix", address: "/b" });
    expect(announcementsIn(grpcFrame(info?.with({ network: "unix", address: "/c" }) ?? message))).toEqual([
      said(1, "/c"),
    ]);
  });

  test.each(["08", "12 05 61", "07", "0d 00", "09 00", "0b", "1a ff ff ff ff ff ff ff ff ff ff 01"])(
    "%s is none",
    (hex) => {
      expect(readConnInfo(Buffer.from(hex.replaceAll(" ", ""), "hex"))).toBeUndefined();
    },
  );
});
