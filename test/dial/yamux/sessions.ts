import type { Duplex } from "node:stream";
import { type YamuxOptions, YamuxSession } from "../../../src/dial/yamux/yamux-session.ts";
import { duplexPair } from "./pair.ts";

type Rest = Partial<Omit<YamuxOptions, "side">>;

/** Two sessions that are connected in memory. */
export interface Sessions extends AsyncDisposable {
  client: YamuxSession;
  server: YamuxSession;
  carriers: [client: Duplex, server: Duplex];
  /** A stream that the client opened and the server accepted. */
  stream(): Promise<[client: Duplex, server: Duplex]>;
}

/** Opens a client and a server; `own` is for the client, and for the server too if it has no options of its own. */
export function openSessions(own: Rest = {}, others: Rest = own): Sessions {
  const carriers = duplexPair();
  const client = new YamuxSession(carriers[0], { side: "client", ...own });
  const server = new YamuxSession(carriers[1], { side: "server", ...others });
  return {
    client,
    server,
    carriers,
    async stream() {
      const opened = client.open();
      return [opened, await server.accept(AbortSignal.timeout(20_000))];
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([client[Symbol.asyncDispose](), server[Symbol.asyncDispose]()]);
    },
  };
}
