import { createServer, type Http2Server, type ServerHttp2Session } from "node:http2";
import type { Duplex } from "node:stream";
import type { ConnectRouter } from "@connectrpc/connect";
import createDebug from "debug";
import { within } from "../lifetime/deadline.ts";
import { grpcHandler } from "./grpc-handler.ts";

const debug = createDebug("go-plugin-ssh:dial");

/** As on the side that connects, see http2-link.ts. */
const STREAM_WINDOW = 8 * 1024 * 1024;
const CONNECTION_WINDOW = 16 * 1024 * 1024;
const SESSION_MEMORY = 4096;

/** Serves gRPC to whoever is at the other end of the streams that it is given. Message sizes are not limited. */
export class StreamServer {
  readonly #server: Http2Server;
  /** What is open, and the stream below it: Node leaves that open if the other side went during a write. */
  readonly #sessions = new Map<ServerHttp2Session, Duplex>();

  /** @param routes says which services there are */
  constructor(routes: (router: ConnectRouter) => void) {
    const settings = { initialWindowSize: STREAM_WINDOW };
    this.#server = createServer({ settings, maxSessionMemory: SESSION_MEMORY }, grpcHandler(routes));
    this.#server.on("sessionError", (failure) => debug("served connection: %s", failure.message));
  }

  /** Serves over `stream`, which belongs to this server from now on. Never throws. */
  serve(stream: Duplex): void {
    stream.on("error", (failure) => debug("served stream: %s", failure.message));
    if (stream.destroyed) return;
    // As on the side that connects.
    stream.once("end", () => stream.destroy());
    // Node announces the session before `emit` returns.
    this.#server.once("session", (session) => {
      this.#sessions.set(session, stream);
      session.on("error", () => {});
      session.once("close", () => {
        this.#sessions.delete(session);
        stream.destroy();
      });
      stream.once("close", () => session.destroy());
      session.setLocalWindowSize(CONNECTION_WINDOW);
    });
    this.#server.emit("connection", stream);
  }

  /** Takes no more calls, and ends each connection when its calls are done, or all of them after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    const ended = [...this.#sessions.keys()].map((session) => {
      return new Promise<void>((resolve) => (session.destroyed ? resolve() : session.close(resolve)));
    });
    await within({ timeoutMs: graceMs }, () => Promise.all(ended)).catch(() => {});
    this.destroy();
  }

  /** Ends all connections, with the calls on them. */
  destroy(): void {
    for (const [session, stream] of this.#sessions) {
      session.destroy();
      stream.destroy();
    }
  }
}
