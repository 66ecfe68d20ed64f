import { once } from "node:events";
import type { Duplex } from "node:stream";
import { createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { PluginError } from "../../../src/contract/errors.ts";
import { GrpcBroker } from "../../../src/dial/broker/grpc-broker.ts";
import { StreamServer } from "../../../src/dial/stream-server.ts";
import { failureOf } from "../../contract/said.ts";
import { Echo } from "../../plugins/gen/counter_pb.ts";
import { FakeMultiplexer, FakePlugin } from "./fake-plugin.ts";

const KNOCK = { knock: true };
const ACK = { knock: true, ack: true };

let plugin: FakePlugin;
let wire: FakeMultiplexer;
let broker: GrpcBroker;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  plugin = new FakePlugin();
  wire = new FakeMultiplexer();
  const nowhere = () => Promise.reject(new TypeError("No address travels in this mode."));
  broker = new GrpcBroker({
    transport: plugin.transport,
    tls: undefined,
    translator: { pluginToHost: nowhere, hostToPlugin: nowhere },
    socketDirectory: nowhere,
    multiplexer: wire.host,
  });
  broker.start();
});

afterEach(async () => {
  await broker.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

/** Lets everything happen that needs no time. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Lets `ms` pass, in steps, so that what follows from one timer can set the next. */
async function pass(ms: number): Promise<void> {
  await settle();
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
}

/** The first words on a stream. */
async function wordsOn(stream: Duplex): Promise<string> {
  return String((await once(stream, "data"))[0]);
}

/** The plugin knocks, is let in, and opens a stream on which it says `words`. */
async function comeIn(id: number, words: string): Promise<Duplex> {
  await plugin.say({ serviceId: id, knock: KNOCK });
  expect(await plugin.hear()).toMatchObject({ serviceId: id, knock: { ...ACK, error: "" } });
  const stream = wire.open();
  stream.write(words);
  return stream;
}

describe("the plugin dials", () => {
  test("each stream goes to the listener that was knocked for", async () => {
    const [one, two] = await Promise.all([broker.accept(1), broker.accept(2)]);
    for (const [id, listener] of [
      [2, two],
      [1, one],
      [2, two],
    ] as const) {
      await comeIn(id, `for ${id}`);
      expect(await wordsOn(await listener.accept())).toBe(`for ${id}`);
    }
  });

  test("a knock may come before the accept, but not long before", async () => {
    await plugin.say({ serviceId: 1, knock: KNOCK });
    await plugin.say({ serviceId: 2, knock: KNOCK });
    await pass(2_900);
    expect(plugin.unheard).toEqual([]);
    const listener = await broker.accept(1);
    expect(await plugin.hear()).toMatchObject({ serviceId: 1, knock: { ack: true, error: "" } });
    wire.open().write("hello");
    expect(await wordsOn(await listener.accept())).toBe("hello");
    await pass(100);
    expect(await plugin.hear()).toMatchObject({ serviceId: 2, knock: { ...ACK, error: "no listener for id 2" } });
  });

  test("knocks for an id that was closed are refused", async () => {
    const listener = await broker.accept(1);
    await comeIn(1, "hello");
    await (await listener.accept()).destroy();
    await listener.close();
    await plugin.say({ serviceId: 1, knock: KNOCK });
    await pass(3_000);
    expect(await plugin.hear()).toMatchObject({ serviceId: 1, knock: { ack: true, error: "no listener for id 1" } });
  });

  test("a stream for which nobody knocked is ended, and misleads nobody", async () => {
    const listener = await broker.accept(1);
    const stray = wire.open();
    await once(stray.resume(), "close");
    await comeIn(1, "invited");
    const companion = wire.open();
    expect(await wordsOn(await listener.accept())).toBe("invited");
    await once(companion.resume(), "close");
  });

  test("one who knocks and does not come keeps the others waiting for a moment only", async () => {
    const [one, two] = await Promise.all([broker.accept(1), broker.accept(2)]);
    await plugin.say({ serviceId: 1, knock: KNOCK });
    expect(await plugin.hear()).toMatchObject({ serviceId: 1, knock: { ack: true } });
    await plugin.say({ serviceId: 2, knock: KNOCK });
    await pass(500);
    expect(await plugin.hear()).toMatchObject({ serviceId: 2, knock: { ack: true } });
    wire.open().write("for 2");
    expect(await wordsOn(await two.accept())).toBe("for 2");
    // And if nobody else knocks, until its time is over.
    await plugin.say({ serviceId: 1, knock: KNOCK });
    await plugin.hear();
    await pass(5_000);
    await once(wire.open().resume(), "close");
    expect((await failureOf(one.accept(AbortSignal.abort()))).code).toBe("aborted");
  });

  test("a flood of connections is refused, and so is a flood of knocks", async () => {
    const listener = await broker.accept(1);
    for (let n = 0; n < 256; n++) await comeIn(1, "x");
    await settle();
    await plugin.say({ serviceId: 1, knock: KNOCK });
    expect((await plugin.hear()).knock?.error).toContain("too many connections");
    for (let n = 0; n < 1_100; n++) await plugin.say({ serviceId: 1_000 + n, knock: KNOCK });
    for (let n = 1_024; n < 1_100; n++) expect((await plugin.hear()).knock?.error).toContain("no listener");
    await listener.accept();
    await comeIn(1, "there is room again");
  });

  test("when the broker is closed, streams and waits end", async () => {
    const listener = await broker.accept(1);
    const stream = await comeIn(1, "hello");
    await listener.accept();
    const waiting = failureOf(listener.accept());
    await plugin.say({ serviceId: 9, knock: KNOCK });
    await settle();
    await broker.close();
    expect(await waiting).toMatchObject({ code: "closed", message: expect.stringContaining("broker closed") });
    await once(stream.resume(), "close");
  });
});

describe("the host dials", () => {
  test("knocks, and opens a stream when it was let in, one dial after the other", async () => {
    const dials = [broker.dialStream(7), broker.dialStream(8)];
    expect(await plugin.hear()).toMatchObject({ serviceId: 7, knock: { knock: true, ack: false } });
    await settle();
    expect([plugin.unheard, wire.unaccepted]).toEqual([[], 0]);
    for (const id of [7, 8]) {
      if (id === 8) expect(await plugin.hear()).toMatchObject({ serviceId: 8 });
      await plugin.say({ serviceId: id, knock: ACK });
      const stream = await wire.accept();
      stream.write(`this is ${id}`);
      expect(await wordsOn((await dials[id - 7]) as Duplex)).toBe(`this is ${id}`);
    }
  });

  test.each([
    ["refuses", { serviceId: 3, knock: { ...ACK, error: "not today" } }, "failed to knock for id 3: not today"],
    ["sends an address", { serviceId: 3, network: "unix", address: "/x" }, "handshake failed for multiplexing on id 3"],
  ])("fails if the plugin %s, and the next dial goes on", async (_what, answer, text) => {
    const [refused, next] = [failureOf(broker.dial(3)), broker.dialStream(4)];
    await plugin.hear();
    await plugin.say(answer);
    expect(await refused).toMatchObject({ code: "forward-failed", message: expect.stringContaining(text) });
    expect(await plugin.hear()).toMatchObject({ serviceId: 4 });
    await plugin.say({ serviceId: 4, knock: ACK });
    await next;
    expect(wire.unaccepted).toBe(1);
  });

  test("waits 5 s for an answer; one that comes later does not send the next stream astray", async () => {
    const late = failureOf(broker.dial(3));
    await plugin.hear();
    await pass(4_999);
    await plugin.say({ serviceId: 99, knock: ACK });
    await pass(1);
    expect(await late).toMatchObject({
      code: "timeout",
      message: expect.stringContaining("timeout waiting for multiplexing knock handshake on id 3"),
    });
    const next = broker.dialStream(4);
    expect(await plugin.hear()).toMatchObject({ serviceId: 4 });
    // The plugin gives the next stream to 3, and answers 4 when it has done so.
    await plugin.say({ serviceId: 3, knock: ACK });
    const empty = await wire.accept();
    await once(empty.resume(), "close");
    await plugin.say({ serviceId: 4, knock: ACK });
    (await wire.accept()).write("this is 4");
    expect(await wordsOn(await next)).toBe("this is 4");
  });

  test("answers that nobody asked for open nothing", async () => {
    await plugin.say({ serviceId: 3, knock: ACK });
    await plugin.say({ serviceId: 3, knock: ACK });
    await settle();
    expect(wire.unaccepted).toBe(0);
    const dialled = broker.dialStream(3);
    await plugin.hear();
    await settle();
    expect(wire.unaccepted).toBe(0);
    await plugin.say({ serviceId: 3, knock: ACK });
    await dialled;
    expect(wire.unaccepted).toBe(1);
  });

  test("who gives up after the knock leaves an empty stream, before it nothing", async () => {
    const giveUp = new AbortController();
    const [knocked, queued] = [broker.dialStream(3, giveUp.signal), broker.dialStream(4, giveUp.signal)];
    await plugin.hear();
    giveUp.abort();
    for (const dialled of [knocked, queued]) expect((await failureOf(dialled)).code).toBe("aborted");
    await plugin.say({ serviceId: 3, knock: ACK });
    await once((await wire.accept()).resume(), "close");
    await settle();
    expect([plugin.unheard, wire.unaccepted]).toEqual([[], 0]);
  });

  test("a connection that was lost is knocked for again", async () => {
    const server = new StreamServer(({ service }) => {
      service(Echo, { say: ({ payload }) => ({ payload, id: 5 }) });
    });
    const letIn = async () => {
      expect(await plugin.hear()).toMatchObject({ serviceId: 5, knock: { knock: true, ack: false } });
      await plugin.say({ serviceId: 5, knock: ACK });
      const stream = await wire.accept();
      server.serve(stream);
      return stream;
    };
    const dialled = broker.dial(5);
    const first = await letIn();
    await using connection = await dialled;
    const echo = createClient(Echo, connection.transport);
    expect((await echo.say({})).id).toBe(5);
    first.destroy();
    await settle();
    const again = echo.say({});
    await letIn();
    expect((await again).id).toBe(5);
  });

  test("a lost wire ends everything, and says so", async () => {
    const [dialling, listener] = [failureOf(broker.dial(3)), await broker.accept(1)];
    await plugin.hear();
    wire.lose();
    await pass(4_500);
    expect(await dialling).toMatchObject({ code: "closed", cause: { code: "connection-lost" } });
    expect((await failureOf(listener.accept())).code).toBe("closed");
    expect((await failureOf(broker.accept(2))).cause).toBeInstanceOf(PluginError);
  });

  test("the end of the plugin's stream ends listeners, for nobody can knock", async () => {
    const listener = await broker.accept(1);
    plugin.end();
    expect((await failureOf(listener.accept())).message).toContain("broker closed");
  });
});
