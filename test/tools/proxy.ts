import { connect, createServer, type Server, type Socket } from "node:net";
import { Way } from "./proxy-way.ts";

/** A TCP proxy that makes a slow or a broken link. */
export interface TcpProxy extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** How many connections pass through. */
  readonly connections: number;
  /** Lets nothing pass any more, no end and no reset either, in both directions: a link that has gone silent. */
  freeze(): void;
  /** Undoes `freeze`; nothing was lost. */
  thaw(): void;
  /** Resets every connection, on both sides. */
  reset(): void;
  /** Ends every connection cleanly, on both sides, after what is under way. */
  fin(): void;
  /** Resets every new connection. */
  refuse(): void;
  /** Undoes `refuse`. */
  accept(): void;
  /** How long each byte travels one way, in milliseconds. Holds for what is sent from now on. */
  setDelayMs(oneWayMs: number): void;
  /** Ends it, with every connection; resolves when all sockets are closed. */
  close(): Promise<void>;
}

/** What holds for all connections of a proxy. */
export interface LinkState {
  frozen: boolean;
  refusing: boolean;
  delayMs: number;
}

/** One connection: a socket to the client and one to the target, and a way for each direction. */
interface Pair {
  readonly sockets: readonly [Socket, Socket];
  readonly ways: readonly [Way, Way];
}

/** What a proxy stands in front of. */
export type ProxyTarget = { host: string; port: number } | { path: string };

/** Starts a proxy in front of `target`, on any free port of the loopback interface. */
export async function startProxy(target: ProxyTarget): Promise<TcpProxy> {
  const link: LinkState = { frozen: false, refusing: false, delayMs: 0 };
  const pairs = new Set<Pair>();
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (client) => {
    // Whatever fails is closed, and the way that reads it tells the other side.
    client.on("error", () => {});
    if (link.refusing) return void client.resetAndDestroy();
    const box = connect({ ...target, allowHalfOpen: true, noDelay: true });
    const pair: Pair = { sockets: [client, box], ways: [new Way(link, client, box), new Way(link, box, client)] };
    pairs.add(pair);
    for (const socket of pair.sockets) {
      socket.once("close", () => pair.sockets.every(({ destroyed }) => destroyed) && pairs.delete(pair));
    }
  });
  const port = await listen(server);
  const ways = () => [...pairs].flatMap((pair) => pair.ways);
  const cut = (end: (socket: Socket) => void) => {
    for (const way of ways()) way.stop();
    for (const socket of [...pairs].flatMap(({ sockets }) => sockets)) end(socket);
  };
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      cut((socket) => socket.destroy());
    });

  return {
    host: "127.0.0.1",
    port,
    get connections() {
      return pairs.size;
    },
    freeze: () => {
      link.frozen = true;
      for (const way of ways()) way.pump();
    },
    thaw: () => {
      link.frozen = false;
      for (const way of ways()) way.pump();
    },
    reset: () => cut((socket) => socket.resetAndDestroy()),
    fin: () => {
      for (const way of ways()) way.end();
    },
    refuse: () => {
      link.refusing = true;
    },
    accept: () => {
      link.refusing = false;
    },
    setDelayMs: (oneWayMs) => {
      link.delayMs = oneWayMs;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : 0);
    });
  });
}
