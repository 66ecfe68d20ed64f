import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { type HangPhase, startEmbeddedServer } from "../../src/demo/embedded-server.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import { digest, ending, firstLine, PlainClient } from "./client.ts";

/** Long enough for an answer on a loopback; what does not come is proved by what comes later. */
const NO_ANSWER_MS = 150;

/** What is asked in each phase, of a client that is connected where the phase allows it. */
const PHASES: Record<Exclude<HangPhase, "banner" | "auth">, ((client: PlainClient) => Promise<unknown>)[]> = {
  channel: [(client) => client.start("true"), (client) => client.toPort(1), (client) => client.toSocket("/no/where")],
  exec: [(client) => client.start("true")],
  forward: [(client) => client.listenPort(), (client) => client.listenSocket("/no/where")],
};

describe("the embedded server's faults", () => {
  test.each(["banner", "auth"] as const)("hangs at %s until the client gives up", async (hangAt) => {
    await using server = await startEmbeddedServer({ hangAt });
    await expect(PlainClient.connect(server, { readyTimeout: NO_ANSWER_MS })).rejects.toMatchObject({
      level: "client-timeout",
    });
    await eventually(() => server.connections === 0, { what: "the client to be gone" });
    server.hangAt = undefined;
    await using client = await PlainClient.connect(server);
    expect(await client.run("true")).toMatchObject({ code: 0 });
  });

  test.each(Object.entries(PHASES))("hangs at %s and answers all else", async (phase, questions) => {
    await using server = await startEmbeddedServer();
    for (const ask of questions) {
      server.hangAt = undefined;
      await using client = await PlainClient.connect(server);
      expect(await client.run("echo well")).toMatchObject({ stdout: "well\n" });
      server.hangAt = phase as HangPhase;
      const silence = Symbol("no answer");
      const answer = ask(client).catch((failure: Error) => failure);
      expect(await Promise.race([answer, delay(NO_ANSWER_MS, silence)])).toBe(silence);
    }
  });

  test("drops before the banner, with a line or without", async () => {
    for (const [dropBeforeBanner, said] of [
      [true, ""],
      ["Exceeded MaxStartups", "Exceeded MaxStartups\r\n"],
    ] as const) {
      await using server = await startEmbeddedServer({ dropBeforeBanner });
      expect(await text(connect(server.port, server.host))).toBe(said);
      await expect(PlainClient.connect(server)).rejects.toMatchObject({ message: "Connection lost before handshake" });
    }
  });

  test("freezes and thaws without losing a byte", async () => {
    await using server = await startEmbeddedServer();
    await using client = await PlainClient.connect(server);
    const channel = await client.start("cat");
    const chunks: Buffer[] = [];
    channel.on("data", (chunk: Buffer) => chunks.push(chunk));
    channel.stderr.resume();
    const ended = ending(channel);
    const bytes = Buffer.alloc(5_000_000, "frozen ");
    channel.write(bytes.subarray(0, 1_000_000));
    await once(channel, "data");
    server.freeze();
    server.freeze();
    channel.end(bytes.subarray(1_000_000));
    const late = PlainClient.connect(server);
    // What was under way in the sockets arrives; then nothing moves.
    const arrived = () => Buffer.concat(chunks).length;
    const stands = async () => {
      const before = arrived();
      await delay(NO_ANSWER_MS);
      return arrived() === before;
    };
    await eventually(stands, { what: "nothing to move" });
    // No more than was asked for before.
    expect(arrived()).toBeLessThanOrEqual(1_000_000);

    server.thaw();
    expect(await ended).toMatchObject({ code: 0 });
    expect(digest(Buffer.concat(chunks))).toEqual(digest(bytes));
    await (await late)[Symbol.asyncDispose]();
  });

  test("freezes each direction by itself", async () => {
    const directory = mkdtempSync(join(tmpdir(), "gps-test-"));
    const [heard, speak] = [join(directory, "heard"), join(directory, "speak")];
    await using server = await startEmbeddedServer();
    await using client = await PlainClient.connect(server);
    const listener = await client.start(`read line; touch ${heard}`);
    const speaker = await client.start(`while [ ! -e ${speak} ]; do sleep 0.02; done; echo spoken`);
    const ended = Promise.all([ending(listener.resume()), ending(speaker)]);
    listener.stderr.resume();
    speaker.stderr.resume();
    let spoken = "";
    speaker.on("data", (chunk: Buffer) => {
      spoken += chunk;
    });

    server.freeze();
    listener.write("do it\n");
    writeFileSync(speak, "");
    await delay(NO_ANSWER_MS);
    expect([existsSync(heard), spoken]).toEqual([false, ""]);
    server.thaw();
    await ended;
    expect([existsSync(heard), spoken]).toEqual([true, "spoken\n"]);
    rmSync(directory, { recursive: true });
  });

  test("makes a keepalive fail while it is frozen", async () => {
    await using server = await startEmbeddedServer();
    const client = await PlainClient.connect(server, { keepaliveInterval: 40, keepaliveCountMax: 2 });
    server.freeze();
    await client.gone;
    expect(client.failure).toMatchObject({ level: "client-timeout", message: "Keepalive timeout" });
  });

  test("resets connections, and lets commands live", async () => {
    await using server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    const channel = await client.start("echo $$; exec sleep 300");
    const pid = Number(await firstLine(channel));
    channel.resume();
    channel.stderr.resume();
    const ended = ending(channel);
    server.resetConnections();
    await client.gone;
    expect(client.failure).toMatchObject({ code: "ECONNRESET" });
    expect(await ended).toEqual({ code: undefined, signal: undefined });
    expect([server.channels, isAlive(pid)]).toEqual([0, true]);
    process.kill(pid, "SIGKILL");
  });

  test("closes channels from its side, and leaves the connection", async () => {
    await using server = await startEmbeddedServer();
    await using client = await PlainClient.connect(server);
    const channel = await client.start("echo $$; exec sleep 300");
    const pid = Number(await firstLine(channel));
    channel.resume();
    channel.stderr.resume();
    const ended = ending(channel);
    server.closeChannels();
    expect(await ended).toEqual({ code: undefined, signal: undefined });
    expect(isAlive(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
    expect(await client.run("echo well")).toMatchObject({ stdout: "well\n" });
  });
});
