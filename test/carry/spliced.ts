import { mkdtemp, rm } from "node:fs/promises";
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type Http2Server,
  type Http2Session,
  type SessionOptions,
} from "node:http2";
import { connect as connectSocket, createServer as createSocketServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type SpliceOptions, splice } from "../../src/carry/splice.ts";

/** A splice that lets every address as it is. */
export const UNCHANGED: SpliceOptions = {
  fromClient: async (address) => address,
  fromServer: async (address) => address,
};

/** Two sockets that a splice joins to a server of Node's. */
export interface Spliced extends AsyncDisposable {
  readonly server: Http2Server;
  /** Where to connect in order to be spliced, and where to go past the splice. */
  readonly path: string;
  readonly directPath: string;
  /** The failures of connections that have ended; `undefined` for one that simply ended. */
  readonly ends: (Error | undefined)[];
  readonly warnings: string[];
  client(options?: SessionOptions, path?: string): ClientHttp2Session;
}

/** How the two ends of a connection are joined. */
export type Joined = (client: Duplex, server: Duplex) => void;

/** Starts a server of Node's and a splice before it. */
export async function startSpliced(
  options: Partial<SpliceOptions> = {},
  server: Http2Server = createServer(),
  joined?: Joined,
): Promise<Spliced> {
  const directory = await mkdtemp(join(tmpdir(), "spliced-"));
  const directPath = join(directory, "direct");
  const path = join(directory, "spliced");
  const ends: (Error | undefined)[] = [];
  const warnings: string[] = [];
  const sockets = new Set<Socket>();
  const join_ =
    joined ??
    ((client: Duplex, plugin: Duplex) => {
      splice(client, plugin, {
        ...UNCHANGED,
        onWarning: (text) => warnings.push(text),
        onEnd: (failure) => ends.push(failure),
        ...options,
      });
    });
  const front = createSocketServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    const behind = connectSocket({ path: directPath, allowHalfOpen: true, noDelay: true });
    for (const each of [socket, behind]) {
      sockets.add(each);
      each.on("close", () => sockets.delete(each)).on("error", () => {});
    }
    join_(socket, behind);
  });
  await listening(server as unknown as Server, directPath);
  await listening(front, path);
  const sessions = new Set<Http2Session>();
  server.on("session", (session) => sessions.add(session.on("error", () => {})));
  return {
    server,
    path,
    directPath,
    ends,
    warnings,
    client: (sessionOptions = {}, at = path) => {
      const session = connect("http://localhost", {
        ...sessionOptions,
        createConnection: () => connectSocket({ path: at }),
      });
      sessions.add(session);
      return session.on("error", () => {});
    },
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => front.close(resolve));
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true });
    },
  };
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
}
