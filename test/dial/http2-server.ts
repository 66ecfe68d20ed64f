import { once } from "node:events";
import { createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, connect, type Socket } from "node:net";

/** An HTTP/2 server in plaintext on the loopback, with every stream handed to `serve`. */
export interface TestHttp2Server extends AsyncDisposable {
  /** How many connections there have been. */
  readonly connections: number;
  /** The sessions that are open. */
  readonly sessions: ReadonlySet<ServerHttp2Session>;
  /** Makes a connection to it. */
  open(): Promise<Socket>;
}

export async function startHttp2Server(
  serve: (stream: ServerHttp2Stream, path: string) => void,
): Promise<TestHttp2Server> {
  const server: Http2Server = createServer();
  const sessions = new Set<ServerHttp2Session>();
  let connections = 0;
  server.on("session", (session) => {
    connections += 1;
    sessions.add(session);
    session.on("error", () => {}).on("close", () => sessions.delete(session));
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    serve(stream, String(headers[":path"]));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    sessions,
    get connections() {
      return connections;
    },
    open: async () => {
      const socket = connect({ host: "127.0.0.1", port, noDelay: true });
      await once(socket, "connect");
      return socket;
    },
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
