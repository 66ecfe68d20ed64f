import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { type ClientHttp2Session, connect, createServer, type Http2Session, type ServerHttp2Stream } from "node:http2";
import { connect as connectSocket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { SplicerOrders } from "../hosts/splicer.ts";
import { hostProgram } from "../tools/host-program.ts";

/** Both ends allow as much as a host on a long line would. */
const WINDOW = 1024 * 1024;

/** Two ends of HTTP/2 in this process, and somebody between them in another. */
export interface Between extends AsyncDisposable {
  readonly client: ClientHttp2Session;
  /** The most memory that the one between ever had, in MiB. */
  peakMb(): Promise<number>;
}

/** Starts a server that does with each stream what `serve` says, somebody in front of it, and connects. */
export async function startBetween(
  how: SplicerOrders["how"] | "direct",
  serve: (stream: ServerHttp2Stream, path: string) => void,
): Promise<Between> {
  const directory = await mkdtemp(join(tmpdir(), "between-"));
  const orders = { how, front: join(directory, "front"), behind: join(directory, "behind") };
  const server = createServer({ settings: { initialWindowSize: WINDOW } });
  const sessions = new Set<Http2Session>();
  server.on("session", (session) => {
    sessions.add(session.on("error", () => {}));
    session.setLocalWindowSize(WINDOW);
  });
  server.on("stream", (stream, headers) =>
    serve(
      stream.on("error", () => {}),
      String(headers[":path"]),
    ),
  );
  await new Promise<void>((resolve) => server.listen(orders.behind, resolve));
  const env = { PATH: process.env.PATH ?? "", ORDERS: JSON.stringify(orders) };
  const child =
    how === "direct"
      ? undefined
      : spawn(process.execPath, [await hostProgram("splicer")], { stdio: ["pipe", "pipe", "inherit"], env });
  const lines = child && createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines?.next();
  const path = child ? orders.front : orders.behind;
  const client = connect("http://localhost", {
    createConnection: () => connectSocket({ path }),
    settings: { initialWindowSize: WINDOW },
  });
  sessions.add(client.on("error", () => {}));
  await once(client, "remoteSettings");
  client.setLocalWindowSize(WINDOW);
  return {
    client,
    peakMb: async () => {
      child?.stdin.write("look\n");
      return Number((await lines?.next())?.value ?? 0);
    },
    [Symbol.asyncDispose]: async () => {
      for (const session of sessions) session.destroy();
      if (child && child.exitCode === null) {
        const ended = once(child, "close");
        child.stdin.end();
        await ended;
      }
      await new Promise((resolve) => server.close(resolve));
      await rm(directory, { recursive: true });
    },
  };
}
