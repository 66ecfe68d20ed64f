import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { freePort } from "../servers/spawn-server.ts";
import { eventually } from "./eventually.ts";
import { startProxy, type TcpProxy } from "./proxy.ts";

/** Long enough for bytes that would pass to arrive. */
const SILENCE_MS = 100;

const BYTES = randomBytes(20_000_000);

let target: Server;
let proxy: TcpProxy;
let far: Promise<Socket>;
beforeEach(async () => {
  target = createServer({ allowHalfOpen: true }).listen({ port: 0, host: "127.0.0.1" });
  await once(target, "listening");
  far = once(target, "connection").then(([socket]) => socket.on("error", () => {}));
  proxy = await startProxy({ host: "127.0.0.1", port: (target.address() as AddressInfo).port });
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  target.close();
});

/** Both ends of one connection through the proxy. */
async function through(): Promise<{ near: Socket; box: Socket }> {
  const near = connect({ port: proxy.port, host: proxy.host, allowHalfOpen: true }).on("error", () => {});
  return { near, box: await far };
}

/** Collects what a socket receives. */
function collect(socket: Socket): { bytes: () => Buffer; ended: Promise<unknown> } {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk)).resume();
  return { bytes: () => Buffer.concat(chunks), ended: new Promise((resolve) => socket.once("end", resolve)) };
}

describe("startProxy", () => {
  test("carries 20 MB each way, and keeps each end apart", async () => {
    const { near, box } = await through();
    const atBox = collect(box);
    near.end(BYTES);
    await atBox.ended;
    expect(atBox.bytes().equals(BYTES)).toBe(true);
    const atNear = collect(near);
    box.end(BYTES);
    await atNear.ended;
    expect(atNear.bytes().equals(BYTES)).toBe(true);
    await eventually(() => proxy.connections === 0, { what: "the connection to be forgotten" });
  });

  test("makes a writer wait for a reader that does not read", async () => {
    const { near, box } = await through();
    box.pause();
    near.write(BYTES);
    await delay(SILENCE_MS);
    // The proxy holds 8 MB at most, and the kernel a few more; all the rest waits in the writer, or would have been lost.
    expect(near.writableLength).toBeGreaterThan(0);
    const atBox = collect(box);
    near.end();
    await atBox.ended;
    expect(atBox.bytes().equals(BYTES)).toBe(true);
  });

  test("freezes bytes and ends, and thaws them", async () => {
    const { near, box } = await through();
    const atBox = collect(box);
    near.write("before");
    await eventually(() => atBox.bytes().toString() === "before", { what: "the first bytes", state: atBox.bytes });
    proxy.freeze();
    near.end(", after");
    await delay(SILENCE_MS);
    expect(atBox.bytes().toString()).toBe("before");
    expect(box.readableEnded).toBe(false);
    proxy.thaw();
    await atBox.ended;
    expect(atBox.bytes().toString()).toBe("before, after");
  });

  test("freezes resets, too", async () => {
    const { near, box } = await through();
    collect(box);
    proxy.freeze();
    near.resetAndDestroy();
    await delay(SILENCE_MS);
    expect(box.destroyed).toBe(false);
    const failure = once(box, "error");
    proxy.thaw();
    expect(await failure).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("resets both sides", async () => {
    const { near, box } = await through();
    const failures = Promise.all([once(near, "error"), once(box, "error")]);
    collect(near);
    collect(box);
    proxy.reset();
    expect(await failures).toMatchObject([[{ code: "ECONNRESET" }], [{ code: "ECONNRESET" }]]);
  });

  test("ends both sides cleanly", async () => {
    const { near, box } = await through();
    const [atNear, atBox] = [collect(near), collect(box)];
    near.write("last words");
    await eventually(() => atBox.bytes().length > 0, { what: "the last words" });
    proxy.fin();
    await Promise.all([atNear.ended, atBox.ended]);
    expect([near.errored, box.errored]).toEqual([null, null]);
    near.end();
    box.end();
    await eventually(() => proxy.connections === 0, { what: "the connection to be forgotten" });
  });

  test("refuses new connections for a while", async () => {
    proxy.refuse();
    const refused = connect({ port: proxy.port, host: proxy.host });
    expect(await once(refused, "error").catch((failure) => [failure])).toMatchObject([{ code: "ECONNRESET" }]);
    proxy.accept();
    const { near, box } = await through();
    const atBox = collect(box);
    near.end("hello");
    await atBox.ended;
    expect(atBox.bytes().toString()).toBe("hello");
    box.end();
  });

  test("passes on that the target refuses", async () => {
    await using toNobody = await startProxy({ host: "127.0.0.1", port: await freePort() });
    const near = connect({ port: toNobody.port, host: toNobody.host });
    expect(await once(near, "error").catch((failure) => [failure])).toMatchObject([{ code: "ECONNRESET" }]);
  });

  test("delays each way, and keeps the order", async () => {
    const { near, box } = await through();
    box.pipe(box);
    const echo = collect(near);
    proxy.setDelayMs(80);
    const started = performance.now();
    near.write("one ");
    near.end("two");
    await echo.ended;
    expect(performance.now() - started).toBeGreaterThanOrEqual(159);
    expect(echo.bytes().toString()).toBe("one two");
  });
});
