import { createHash } from "node:crypto";
import { once } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import ssh2, { type ClientChannel, type ConnectConfig } from "ssh2";
import type { TestServer } from "./server.ts";

/** What is known about a server before one connects to it. */
export type Where = Pick<TestServer, "host" | "port" | "user" | "privateKey" | "hostKeyFingerprint">;

/** How a command ended, as SSH tells. */
export interface Ending {
  readonly code: number | null | undefined;
  readonly signal: string | undefined;
}

/** What a command wrote, and how it ended. */
export interface Outcome extends Ending {
  readonly stdout: string;
  readonly stderr: string;
}

/** A bare ssh2 client, with promises, so that the servers are tested without our own library. */
export class PlainClient implements AsyncDisposable {
  readonly ssh = new ssh2.Client();
  /** Resolves when the connection is gone, whichever way it went. */
  readonly gone: Promise<void>;
  /** The last failure that ssh2 reported. */
  failure: (Error & { level?: string }) | undefined;

  constructor() {
    this.gone = new Promise((resolve) => this.ssh.once("close", () => resolve()));
    this.ssh.on("error", (failure) => {
      this.failure = failure;
    });
  }

  /** Connects, or rejects with ssh2's error. */
  static async connect(server: Where, config: ConnectConfig = {}): Promise<PlainClient> {
    const client = new PlainClient();
    await new Promise<void>((resolve, reject) => {
      client.ssh.once("ready", resolve).once("error", reject);
      client.ssh.once("close", () => reject(new Error("The connection was closed.")));
      client.ssh.connect({
        host: server.host,
        port: server.port,
        username: server.user,
        privateKey: server.privateKey,
        // It checks the banner, and only OpenSSH's passes.
        strictVendor: false,
        hostVerifier: (key: Buffer) => fingerprint(key) === server.hostKeyFingerprint,
        ...config,
      });
      client.ssh.setNoDelay(true);
    });
    return client;
  }

  /** Starts a command. */
  start(command: string): Promise<ClientChannel> {
    return asked((done) => this.ssh.exec(command, done));
  }

  /** Runs a command to its end. */
  async run(command: string, stdin: string | Buffer = ""): Promise<Outcome> {
    const channel = await this.start(command);
    const ended = ending(channel);
    channel.end(stdin);
    const [stdout, stderr, how] = await Promise.all([buffer(channel), buffer(channel.stderr), ended]);
    return { stdout: stdout.toString(), stderr: stderr.toString(), ...how };
  }

  /** Connects to a unix socket on the box. */
  toSocket(path: string): Promise<ClientChannel> {
    return asked((done) => this.ssh.openssh_forwardOutStreamLocal(path, done));
  }

  /** Connects to a TCP port on the box. */
  toPort(port: number): Promise<ClientChannel> {
    return asked((done) => this.ssh.forwardOut("127.0.0.1", 0, "127.0.0.1", port, done));
  }

  /** Listens on a unix socket on the box. */
  listenSocket(path: string): Promise<void> {
    return asked((done) => this.ssh.openssh_forwardInStreamLocal(path, done));
  }

  /** Listens on a TCP port on the box; resolves with the port. */
  listenPort(port = 0): Promise<number> {
    return asked((done) => this.ssh.forwardIn("127.0.0.1", port, done));
  }

  /** Stops listening on a unix socket. */
  unlistenSocket(path: string): Promise<void> {
    return asked((done) => this.ssh.openssh_unforwardInStreamLocal(path, done));
  }

  /** Stops listening on a TCP port. */
  unlistenPort(port: number): Promise<void> {
    return asked((done) => this.ssh.unforwardIn("127.0.0.1", port, done));
  }

  /** The next connection that comes in through a listener. */
  nextStream(kind: "tcp connection" | "unix connection"): Promise<ClientChannel> {
    return new Promise((resolve) => {
      this.ssh.once(kind as "tcp connection", (_details, accept) => resolve(accept()));
    });
  }

  /** Ends the connection; resolves when it is gone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.ssh.end();
    await this.gone;
  }
}

/** How the command of a channel ends; resolves when the channel is closed. Nothing may be left unread. */
export async function ending(channel: ClientChannel): Promise<Ending> {
  const [code, signal] = await once(channel, "close");
  return { code, signal };
}

/** The first line that a stream gives; later bytes stay in it. */
export async function firstLine(stream: Readable): Promise<string> {
  let text = "";
  while (!text.includes("\n")) {
    const chunk = stream.read() as Buffer | null;
    if (chunk) text += chunk;
    else await once(stream, "readable");
  }
  const [line = "", ...rest] = text.split("\n");
  if (rest.join("\n") !== "") stream.unshift(Buffer.from(rest.join("\n")));
  return line;
}

/** The digest of all that a stream gives until it ends, and how many bytes that were. It can be written to after. */
export async function digestOf(stream: Duplex): Promise<{ length: number; sha256: string }> {
  // Iterating over the stream would destroy it at its end.
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  await once(stream, "end");
  return digest(Buffer.concat(chunks));
}

/** The digest of `bytes`, and their number. */
export function digest(bytes: Buffer): { length: number; sha256: string } {
  return { length: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") };
}

function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** A promise for what ssh2 gives to a callback. */
function asked<T>(ask: (done: (failure?: Error | null, result?: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    ask((failure, result) => (failure ? reject(failure) : resolve(result as T)));
  });
}
