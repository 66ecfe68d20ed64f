import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { startEmbeddedServer } from "../../src/demo/embedded-server.ts";
import { eventually, openSockets } from "../tools/leaks.ts";
import { firstLine, PlainClient } from "./client.ts";

/** Nothing that is left open on purpose closes by itself. */
const HASTE = { patienceMs: 50 };

const idle = openSockets();

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gps-test-"));
});
afterEach(async () => {
  rmSync(directory, { recursive: true, force: true });
  // The pipes of a command that was ended by force go a moment later.
  await eventually(() => expect(openSockets()).toEqual(idle) ?? true, { what: "quiet", state: openSockets });
});

describe("closing the embedded server", () => {
  test("leaves no socket behind, however often it is done", async () => {
    const before = openSockets();
    const server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    await client.run("true");
    const closing = server.close();
    expect(server.close()).toBe(closing);
    await closing;
    await client.gone;
    expect(openSockets()).toEqual(before);
  });

  test("fails over a channel that a client left open", async () => {
    const server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    await firstLine(await client.start("echo up; exec cat"));
    const failure = await server.close(HASTE).catch((reason: unknown) => reason);
    expect(failure).toBeInstanceOf(PluginError);
    expect(failure).toMatchObject({
      code: "still-running",
      message: expect.stringMatching(/\nchannel exec, pid \d+\n/),
    });
    await client.gone;
  });

  test("fails over a forwarded connection that a client left open", async () => {
    const path = join(directory, "box.sock");
    const box = createServer((socket) => socket.resume().on("error", () => {}));
    await new Promise<void>((resolve) => box.listen({ path }, resolve));
    const server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    (await client.toSocket(path)).resume();
    await expect(server.close(HASTE)).rejects.toThrow(`channel to ${path}`);
    await client.gone;
    await new Promise((resolve) => box.close(resolve));
  });

  test("lets go of its own end of a forwarded connection when the client closes the channel", async () => {
    const path = join(directory, "box.sock");
    // It sees the end, and keeps its own direction open.
    const box = createServer({ allowHalfOpen: true }, (socket) => socket.resume());
    await new Promise<void>((resolve) => box.listen({ path }, resolve));
    await using server = await startEmbeddedServer();
    await using client = await PlainClient.connect(server);
    const { PipeWrap: before = 0 } = openSockets();
    const accepted = once(box, "connection");
    const channel = await client.toSocket(path);
    const [socket] = await accepted;
    expect(openSockets().PipeWrap).toBe(before + 2);
    channel.close();
    await eventually(() => openSockets().PipeWrap === before + 1, {
      what: "one of both ends to close",
      state: openSockets,
    });
    socket.destroy();
    box.close();
  });

  test("fails over a listener and over a socket file that a client left, and deletes the file", async () => {
    const path = join(directory, "forward.sock");
    const server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    await client.listenSocket(path);
    const failure = await server.close(HASTE).catch((reason: Error) => reason);
    expect(failure).toMatchObject({ message: expect.stringContaining(`forward unix:${path}\nsocket file ${path}`) });
    expect(existsSync(path)).toBe(false);
    await client.gone;
  });

  test("is content when a client has tidied up", async () => {
    const path = join(directory, "forward.sock");
    const server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    await client.listenSocket(path);
    await client.unlistenSocket(path);
    rmSync(path);
    await server.close();
    await client.gone;
  });

  test("says nothing where it was told to end what is left", async () => {
    const path = join(directory, "forward.sock");
    const server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    await client.listenSocket(path);
    await firstLine(await client.start("echo up; exec sleep 300"));
    await server.close({ leftovers: "end" });
    expect(existsSync(path)).toBe(false);
    await client.gone;
  });

  test("ends a frozen server too", async () => {
    const server = await startEmbeddedServer();
    const client = await PlainClient.connect(server);
    server.freeze();
    await server.close();
    await client.gone;
  });
});
