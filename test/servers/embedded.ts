import {
  type EmbeddedServer,
  type EmbeddedServerOptions,
  startEmbeddedServer,
} from "../../src/demo/embedded-server.ts";
import { PATIENCE_MS, type TestServer } from "./server.ts";

/** An embedded server in the shape that all test servers have. */
export interface EmbeddedTestServer extends TestServer {
  /** The server itself, with its counters and its faults. */
  readonly embedded: EmbeddedServer;
}

/** Starts the embedded server, with its key in files. */
export async function startEmbedded(options: EmbeddedServerOptions = {}): Promise<EmbeddedTestServer> {
  const lines: string[] = [];
  const embedded = await startEmbeddedServer({
    ...options,
    log: (line) => {
      lines.push(line);
      options.log?.(line);
    },
  });
  const { host, port, user, privateKey, hostKeyFingerprint } = embedded;
  return {
    ...(await embedded.writeFiles()),
    name: "embedded",
    embedded,
    host,
    port,
    user,
    privateKey,
    hostKeyFingerprint,
    pid: process.pid,
    log: async () => lines.join("\n"),
    sessionPids: () => [],
    killSessions: () => embedded.resetConnections(),
    stop: (options) => embedded.close({ patienceMs: PATIENCE_MS, ...options }),
    [Symbol.asyncDispose]: () => embedded.close({ patienceMs: PATIENCE_MS }),
  };
}
