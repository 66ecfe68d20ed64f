import { randomBytes } from "node:crypto";
import { lstatSync, mkdtempSync, rmSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ClientChannel } from "ssh2";
import { describe, expect, test } from "vitest";
import { eventually } from "../tools/eventually.ts";
import { digest, digestOf, PlainClient } from "./client.ts";
import type { ServerKind } from "./server.ts";

const QUESTION = randomBytes(5_000_000);
const ANSWER = randomBytes(5_000_000);

/** Two ends of one forwarded connection. */
type Ends = { client: ClientChannel; box: Socket };

/** How each kind of forward makes a connection. */
const FORWARDS: Record<string, (client: PlainClient, directory: Directory) => Promise<Ends>> = {
  "direct-streamlocal": async (client, directory) => {
    const { server, accepted } = await listening(directory.path("box.sock"));
    const stream = await client.toSocket(directory.path("box.sock"));
    return { client: stream, box: await closing(server, accepted) };
  },
  "direct-tcpip": async (client) => {
    const { server, accepted } = await listening(0);
    const stream = await client.toPort((server.address() as AddressInfo).port);
    return { client: stream, box: await closing(server, accepted) };
  },
  "forwarded-streamlocal": async (client, directory) => {
    const path = directory.path("forward.sock");
    await client.listenSocket(path);
    const stream = client.nextStream("unix connection");
    const box = connect({ path, allowHalfOpen: true });
    const ends = { client: await stream, box };
    await client.unlistenSocket(path);
    return ends;
  },
  "forwarded-tcpip": async (client) => {
    const port = await client.listenPort();
    const stream = client.nextStream("tcp connection");
    const box = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const ends = { client: await stream, box };
    await client.unlistenPort(port);
    return ends;
  },
};

/** What a server does with forwards. */
export function forwardContract(kind: ServerKind): void {
  describe.each(Object.keys(FORWARDS))("%s", (forward) => {
    test.each([
      ["client", "box"],
      ["box", "client"],
    ] as const)("lets the %s end first, and the %s go on", async (first, second) => {
      await using server = await kind.start();
      using directory = new Directory();
      await using client = await PlainClient.connect(server);
      const ends = await FORWARDS[forward]?.(client, directory);
      if (!ends) throw new Error("There is no such forward.");

      ends[first].end(QUESTION);
      expect(await digestOf(ends[second])).toEqual(digest(QUESTION));
      const answered = digestOf(ends[first]);
      ends[second].end(ANSWER);
      expect(await answered).toEqual(digest(ANSWER));
    });
  });

  describe("a client that closes a forwarded channel", () => {
    test.each(Object.keys(FORWARDS))(
      "%s: all arrives, then the connection on the box ends both ways",
      async (forward) => {
        await using server = await kind.start();
        using directory = new Directory();
        await using client = await PlainClient.connect(server);
        const ends = await FORWARDS[forward]?.(client, directory);
        if (!ends) throw new Error("There is no such forward.");

        const { box } = ends;
        box.on("error", () => {});
        // ssh2 drops what still waits for window when it closes a channel; when it calls back, all is sent.
        ends.client.resume().write(QUESTION, () => ends.client.close());
        expect(await digestOf(box)).toEqual(digest(QUESTION));
        await eventually(() => box.destroyed || void box.write("is anybody there?"), { what: "a write to fail" });
      },
    );
  });

  describe("streamlocal-forward", () => {
    test("makes a private socket file, which stays and stands in the way", async () => {
      await using server = await kind.start();
      using directory = new Directory();
      const path = directory.path("forward.sock");
      const client = await PlainClient.connect(server);
      await client.listenSocket(path);
      expect(lstatSync(path).mode & 0o777).toBe(0o600);
      await client.unlistenSocket(path);
      expect(lstatSync(path).isSocket()).toBe(true);
      await expect(client.listenSocket(path)).rejects.toThrow("Unable to bind");

      await client.listenSocket(directory.path("other.sock"));
      await client[Symbol.asyncDispose]();
      expect(lstatSync(directory.path("other.sock")).isSocket()).toBe(true);
    });

    test("refuses a path that is too long or leads nowhere", async () => {
      await using server = await kind.start();
      using directory = new Directory();
      await using client = await PlainClient.connect(server);
      await expect(client.listenSocket(directory.path("x".repeat(120)))).rejects.toThrow("Unable to bind");
      await expect(client.listenSocket(directory.path("nowhere/forward.sock"))).rejects.toThrow("Unable to bind");
    });

    test("can be cancelled once", async () => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      const port = await client.listenPort();
      await client.unlistenPort(port);
      await expect(client.unlistenPort(port)).rejects.toThrow();
    });
  });
}

/** A private directory for sockets, which goes at the end of its test. */
class Directory implements Disposable {
  readonly #path = mkdtempSync(join(tmpdir(), "gps-test-"));

  path(name: string): string {
    return join(this.#path, name);
  }

  [Symbol.dispose](): void {
    rmSync(this.#path, { recursive: true, force: true });
  }
}

/** Listens, and promises the first connection. */
async function listening(at: string | number): Promise<{ server: Server; accepted: Promise<Socket> }> {
  const server = createServer({ allowHalfOpen: true });
  const accepted = new Promise<Socket>((resolve) => server.once("connection", resolve));
  await new Promise<void>((resolve) => {
    server.listen(typeof at === "string" ? { path: at } : { port: at, host: "127.0.0.1" }, resolve);
  });
  return { server, accepted };
}

/** The connection that was promised; its server takes no other. */
async function closing(server: Server, accepted: Promise<Socket>): Promise<Socket> {
  const socket = await accepted;
  server.close();
  return socket;
}
