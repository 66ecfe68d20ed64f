import { createHash } from "node:crypto";
import { type ClientHttp2Stream, constants, createServer, type ServerHttp2Stream } from "node:http2";
import { describe, expect, test } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { later } from "../../src/lifetime/later.ts";
import { eventually } from "../tools/eventually.ts";
import { announcement, announcementsIn, grpcFrame } from "./announcements.ts";
import { type Spliced, startSpliced } from "./spliced.ts";

const BROKER = { ":method": "POST", ":path": "/plugin.GRPCBroker/StartStream", "content-type": "application/grpc" };
const unix = (path: string): Address => ({ network: "unix", path });

/** The whole of what a stream says. */
async function textOf(stream: ClientHttp2Stream): Promise<Buffer> {
  const pieces: Buffer[] = [];
  return new Promise((resolve, reject) => {
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => resolve(Buffer.concat(pieces)));
    stream.on("error", reject);
    stream.on("close", () => stream.rstCode && reject(new Error(`reset with ${stream.rstCode}`)));
  });
}

function echo(spliced: Spliced): void {
  spliced.server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
}

describe("everything passes", () => {
  test("1,000 streams at once, each with its own answer", async () => {
    await using spliced = await startSpliced();
    echo(spliced);
    const client = spliced.client();
    const answers = Array.from({ length: 1_000 }, async (_, nth) => {
      const stream = client.request({ ":method": "POST", ":path": `/s/${nth}`, "x-nth": String(nth) });
      stream.end(`payload ${nth} ${"x".repeat(nth % 300)}`);
      expect((await textOf(stream)).toString()).toBe(`payload ${nth} ${"x".repeat(nth % 300)}`);
    });
    await Promise.all(answers);
    client.close();
    await eventually(() => spliced.ends.length === 1, { what: "the end" });
    expect(spliced.ends).toEqual([undefined]);
  });

  test("pings, trailers alone, settings", async () => {
    await using spliced = await startSpliced();
    spliced.server.on("stream", (stream: ServerHttp2Stream) => {
      stream.respond({ ":status": 200, "grpc-status": "12" }, { endStream: true });
    });
    const client = spliced.client();
    const payload = Buffer.from("8 bytes!");
    const pong = await new Promise<Buffer>((resolve, reject) => {
      client.ping(payload, (failure, _ms, back) => (failure ? reject(failure) : resolve(back)));
    });
    expect(pong).toEqual(payload);
    const stream = client.request({ ":method": "POST", ":path": "/none" });
    stream.end();
    const headers = await new Promise<Record<string, unknown>>((resolve) => stream.once("response", resolve));
    expect(headers["grpc-status"]).toBe("12");
    const settled = new Promise((resolve) => client.once("remoteSettings", resolve));
    for (const session of sessionsOf(spliced)) session.settings({ maxConcurrentStreams: 17 });
    expect(await settled).toMatchObject({ maxConcurrentStreams: 17 });
  });
});

function sessionsOf(spliced: Spliced) {
  const found = (spliced.server as unknown as { sessions?: Set<import("node:http2").ServerHttp2Session> }).sessions;
  return found ?? new Set();
}
void createHash;
void constants;
void createServer;
void PluginError;
void later;
void announcement;
void announcementsIn;
void grpcFrame;
void BROKER;
void unix;
