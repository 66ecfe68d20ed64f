import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Duplex } from "node:stream";
import { afterEach, describe, expect, test } from "vitest";
import { gatherChunks, gatherPackets } from "../../src/connect/gather-writes.ts";

describe("gatherPackets", () => {
  const open: { destroy(): void }[] = [];
  afterEach(() => {
    for (const one of open.splice(0)) one.destroy();
  });

  async function pair(): Promise<{ near: Socket; far: Socket }> {
    const server = createServer({ allowHalfOpen: true }).listen({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    const { port } = server.address() as { port: number };
    const near = connect({ port, host: "127.0.0.1", noDelay: true });
    const [far] = (await once(server, "connection")) as [Socket];
    server.close();
    open.push(near, far);
    return { near, far };
  }

  test("what is written in one turn leaves together, in its order", async () => {
    const { near, far } = await pair();
    gatherPackets(near);
    const writes: number[] = [];
    const { _writev } = near;
    near._writev = (chunks, done) => {
      writes.push(chunks.length);
      _writev?.call(near, chunks, done);
    };
    let text = "";
    far.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    for (const word of ["one ", "two ", "three "]) near.write(word);
    await new Promise((resolve) => near.write("four", resolve));
    for (const word of [", five", ", six"]) near.write(word);
    near.end();
    await once(far, "end");
    expect(text).toBe("one two three four, five, six");
    expect(writes).toEqual([4, 2]);
  });

  test("a writer still hears when to wait, and when to go on", async () => {
    const { near, far } = await pair();
    gatherPackets(near);
    far.pause();
    const chunk = Buffer.alloc(1024 * 1024);
    let written = 0;
    do written += chunk.length;
    while (near.write(chunk));
    let received = 0;
    far.on("data", ({ length }: Buffer) => {
      received += length;
    });
    far.resume();
    await once(near, "drain");
    near.end();
    await once(far, "end");
    expect(received).toBe(written);
  });
});

describe("gatherChunks", () => {
  test("what waits becomes one write, and each writer is told", async () => {
    const writes: string[] = [];
    const next: (() => void)[] = [];
    const channel = gatherChunks(
      new Duplex({
        read() {},
        write(chunk, _encoding, done) {
          writes.push(String(chunk));
          next.push(done);
        },
      }),
    );
    const told: string[] = [];
    for (const word of ["a", "b", "c"]) channel.write(word, () => told.push(word));
    expect(writes).toEqual(["a"]);
    next.shift()?.();
    await new Promise(setImmediate);
    expect(writes).toEqual(["a", "bc"]);
    expect(told).toEqual(["a"]);
    next.shift()?.();
    await new Promise(setImmediate);
    expect(told).toEqual(["a", "b", "c"]);
  });
});
