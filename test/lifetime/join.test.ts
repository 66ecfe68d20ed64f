import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { join } from "../../src/lifetime/join.ts";
import { later } from "../../src/lifetime/later.ts";
import { eventually } from "../tools/eventually.ts";

const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** Two ends of one TCP connection. */
async function pair(): Promise<[near: Socket, far: Socket]> {
  const server = createServer({ allowHalfOpen: true });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const near = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
  const [far] = await accepted;
  sockets.push(near, far);
  for (const socket of [near, far]) socket.on("error", () => {});
  return [near, far];
}

/** `left` ⇄ joined in the middle ⇄ `right`. */
async function joined() {
  const [left, middleLeft] = await pair();
  const [middleRight, right] = await pair();
  const end = later<Error | undefined>();
  join(middleLeft, middleRight, (failure) => end.resolve(failure));
  return { left, right, middleLeft, middleRight, end: end.promise };
}

function digest(data: Uint8Array): string {
  return createHash("sha256").update(data).digest("hex");
}

/** Everything that a stream gives until it ends. */
async function all(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  await once(stream, "end");
  return Buffer.concat(chunks);
}

describe.each([0, 1, 5_000_000])("%i bytes each way", (size) => {
  test("arrive as they were sent, and the side that ended first still hears the other", async () => {
    const { left, right, middleLeft, middleRight, end } = await joined();
    const [there, back] = [randomBytes(size), randomBytes(size)];
    const arrived = all(right);
    left.end(there);
    expect(digest(await arrived)).toBe(digest(there));
    const answered = all(left);
    right.end(back);
    expect(digest(await answered)).toBe(digest(back));
    expect(await end).toBeUndefined();
    expect(middleLeft.destroyed && middleRight.destroyed).toBe(true);
  });
});

test("a failure on one side ends both", async () => {
  const { left, right, middleRight, end } = await joined();
  const gone = once(right, "close");
  right.resume().on("end", () => right.end());
  left.resetAndDestroy();
  expect(await end).toBeInstanceOf(Error);
  expect(middleRight.destroyed).toBe(true);
  await gone;
});

test("a side that is destroyed here, in the middle, ends the other", async () => {
  const { right, middleLeft, end } = await joined();
  const gone = once(right, "close");
  right.resume().on("end", () => right.end());
  middleLeft.destroy();
  expect(await end).toMatchObject({ code: "closed" });
  await gone;
});

test("a side that was destroyed before ends the other at once", async () => {
  const [, far] = await pair();
  const [near] = await pair();
  far.destroy();
  const end = later<Error | undefined>();
  join(far, near, (failure) => end.resolve(failure));
  expect(await end.promise).toMatchObject({ code: "closed" });
  expect(near.destroyed).toBe(true);
});

test("a reader that stands still holds the sender up, and loses nothing", async () => {
  const { left, right } = await joined();
  const data = randomBytes(64 * 1024 * 1024);
  left.end(data);
  // What the kernel and four streams hold is a few megabytes; the rest has to wait here.
  await eventually(
    async () => {
      const before = left.writableLength;
      await new Promise((resolve) => setTimeout(resolve, 50));
      return before === left.writableLength ? true : undefined;
    },
    { timeoutMs: 20_000, what: "the sender to be held up" },
  );
  expect(left.writableLength + left.bytesWritten).toBeGreaterThan(0);
  expect(right.bytesRead).toBeLessThan(8 * 1024 * 1024);
  expect(digest(await all(right))).toBe(digest(data));
});

/** Closes both of its directions as soon as it was read to its end, as ssh2's channels do. */
class ClosesWhole extends Duplex {
  readonly #data: Buffer;

  constructor(data: Buffer) {
    super({ allowHalfOpen: true, emitClose: false, autoDestroy: false });
    this.#data = data;
    this.once("end", () => this.emit("close"));
  }

  override _read(): void {
    this.push(this.#data);
    this.push(null);
  }

  override _write(_chunk: Buffer, _encoding: string, done: () => void): void {
    done();
  }
}

test("a side that closes both directions at once is heard to its end by a slow reader", async () => {
  const [left, middle] = await pair();
  const data = randomBytes(16 * 1024 * 1024);
  const end = later<Error | undefined>();
  join(middle, new ClosesWhole(data), (failure) => end.resolve(failure));
  await eventually(() => middle.writableLength > 0 || undefined, {
    timeoutMs: 10_000,
    what: "bytes to wait for the reader",
  });
  expect(digest(await all(left))).toBe(digest(data));
  expect(await end.promise).toBeUndefined();
  expect(middle.destroyed).toBe(true);
});

test("an error after the end has a handler too", async () => {
  const { left, right, middleLeft, end } = await joined();
  left.end();
  right.end();
  left.resume();
  right.resume();
  await end;
  expect(middleLeft.listenerCount("error")).toBeGreaterThan(0);
});

describe("what stands between", () => {
  test("decides what is written, at any time, in one direction and not in the other", async () => {
    const [left, middleLeft] = await pair();
    const [middleRight, right] = await pair();
    let writeMore = (_: Buffer) => {};
    join(middleLeft, middleRight, undefined, {
      toRight: (write) => {
        writeMore = write;
        return (chunk) => write(Buffer.from(chunk.toString().toUpperCase()));
      },
    });
    const heard: Buffer[][] = [[], []];
    right.on("data", (chunk: Buffer) => heard[0]?.push(chunk));
    left.on("data", (chunk: Buffer) => heard[1]?.push(chunk));
    left.write("loud");
    await eventually(() => Buffer.concat(heard[0] ?? []).toString() === "LOUD", { what: "the chunk" });
    writeMore(Buffer.from(" and more"));
    right.write("calm");
    await eventually(() => Buffer.concat(heard[0] ?? []).toString() === "LOUD and more", { what: "more" });
    await eventually(() => Buffer.concat(heard[1] ?? []).toString() === "calm", { what: "the answer" });
  });

  test("ends both by what it throws", async () => {
    const [left, middleLeft] = await pair();
    const [middleRight, right] = await pair();
    const end = later<Error | undefined>();
    const failure = new Error("not that");
    join(middleLeft, middleRight, (reason) => end.resolve(reason), {
      toRight: () => () => {
        throw failure;
      },
    });
    left.write("anything");
    expect(await end.promise).toBe(failure);
    await eventually(() => middleLeft.destroyed && middleRight.destroyed, { what: "both ends" });
    right.destroy();
  });
});
