import type { TestServer } from "../test/servers/server.ts";
import type { LongLine } from "./delayed.ts";

/** Where to log in, and what is known about it. */
export interface Box {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly identityFile: string;
  readonly knownHostsFile: string;
  /** The name of its host key in that file. */
  readonly knownAs: string;
  readonly hostKeyFingerprint: string;
  /** For sockets: its path is short. Host and box are the same machine. */
  readonly directory: string;
  /** What lies between host and box; `undefined` if nothing does. */
  readonly line: LongLine | undefined;
}

/** The box behind a server of this machine, seen through a long line if one is given. */
export async function boxOf(server: TestServer, directory: string, line?: LongLine): Promise<Box> {
  const { host, user, identityFile, knownHostsFile, hostKeyFingerprint } = server;
  const at = line ? await line.to({ network: "tcp", host, port: server.port }) : server;
  const knownAs = `[${host}]:${server.port}`;
  return { host, port: at.port, user, identityFile, knownHostsFile, knownAs, hostKeyFingerprint, directory, line };
}
