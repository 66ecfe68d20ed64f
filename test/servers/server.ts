import type { CloseOptions } from "../../src/demo/embedded-server.ts";

/** How long what was started through a server may take to end before it is said to be left, on a machine that is busy. */
export const PATIENCE_MS = 15_000;

/** An SSH server that was started for a test. Disposing it fails if something that it started is still there. */
export interface TestServer extends AsyncDisposable {
  /** Which kind it is, for people. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** The account that the key opens. */
  readonly user: string;
  /** The file of the client's private key. */
  readonly identityFile: string;
  /** The same key as a text, in OpenSSH's format. */
  readonly privateKey: string;
  /** Vouches for the server's key. */
  readonly knownHostsFile: string;
  /** `SHA256:` and the digest of the ed25519 host key. */
  readonly hostKeyFingerprint: string;
  /** The process that listens. */
  readonly pid: number;
  /** What the server has logged so far. */
  log(): Promise<string>;
  /** The processes that serve one connection each (or their parts); none if the server serves them by itself. */
  sessionPids(): number[];
  /** Signals those processes; where there are none, resets the connections. Commands live on. */
  killSessions(signal: NodeJS.Signals): void;
  /** Ends it; each call gives the same promise. By default it fails if something is left, as disposing does. */
  stop(options?: CloseOptions): Promise<void>;
}

/** What both kinds of server can be told to forbid. */
export interface Restrictions {
  allowTcpForwarding?: boolean | "local" | "remote";
  allowStreamLocalForwarding?: boolean | "local" | "remote";
  maxSessions?: number;
  forceCommand?: string;
}

/** A kind of server, so that one suite can run over all kinds. */
export interface ServerKind {
  readonly name: string;
  /** Whether this machine can run it. */
  readonly available: boolean;
  start(restrictions?: Restrictions): Promise<TestServer>;
}
