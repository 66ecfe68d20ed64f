import type { ConnectOptions } from "../connect/connect-options.ts";
import type { Destination } from "../connect/destination.ts";
import { startEmbeddedServer } from "./embedded-server.ts";

/** Where the demonstration's plugin is to run. */
export interface DemoBox extends AsyncDisposable {
  readonly destination: Destination;
  readonly connect: ConnectOptions;
  /** The Node executable there. */
  readonly node: string;
  /** What was created for it, in words; `undefined` for a box that was there before. */
  readonly made: string | undefined;
  /** What `[Symbol.asyncDispose]` removes, in words. */
  readonly removed: string | undefined;
}

/** A box of the user's own. */
export function ownBox(destination: Destination, connect: ConnectOptions, node: string): DemoBox {
  return { destination, connect, node, made: undefined, removed: undefined, [Symbol.asyncDispose]: async () => {} };
}

/** A box inside this process: an SSH server on the loopback interface, with keys made for it. */
export async function embeddedBox(): Promise<DemoBox> {
  const server = await startEmbeddedServer();
  const { directory, identityFile, knownHostsFile } = await server.writeFiles();
  return {
    destination: { host: server.host, port: server.port, user: server.user },
    connect: {
      configFile: "none",
      identityFile,
      identityAgent: "none",
      userKnownHostsFile: knownHostsFile,
      globalKnownHostsFile: [],
    },
    node: process.execPath,
    made:
      `Started an SSH server in this process, on ${server.host}:${server.port}. It plays the box, the machine far away.\n` +
      `Made a host key for it, and a key for us in ${directory}.`,
    removed: `Stopped the SSH server and removed ${directory}.`,
    [Symbol.asyncDispose]: () => server.close(),
  };
}
