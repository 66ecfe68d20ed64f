import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { onTestFinished } from "vitest";
import { signalFound } from "../tools/leaks.ts";
import { type BuildOptions, buildKv } from "./go-plugins.ts";

/** A `kv` that runs on this machine until the test is over. */
export interface StartedKv {
  readonly pid: number;
  readonly stdout: Output;
  readonly stderr: Output;
  /** The private directory for its sockets. */
  readonly directory: string;
  /** How it ended, when it has ended. */
  readonly exited: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Resolves when nobody holds its stdout and stderr any more: it and all its children are gone. */
  readonly closed: Promise<unknown>;
  /** Its handshake line, in fields. */
  handshake(): Promise<string[]>;
  /** Connects to the address in its handshake line, in plaintext. */
  dial(): Promise<Transport>;
  /** Ends its stdin, where that is a pipe. */
  endInput(): void;
}

/** How it is started, besides its flags and environment. */
export interface StartOptions extends BuildOptions {
  /** @default "ignore", which is /dev/null */
  stdin?: "ignore" | "pipe";
}

/** What a host says before anything else. */
const HANDSHAKE = { KV_PLUGIN_COOKIE: "kv", PLUGIN_PROTOCOL_VERSIONS: "1" };

/** Starts `kv` in a process group of its own. When the test ends, so does every process that came of it. */
export async function startKv(
  flags: readonly string[],
  environment: Record<string, string> = {},
  { goPlugin, stdin = "ignore" }: StartOptions = {},
): Promise<StartedKv> {
  const program = await buildKv({ goPlugin });
  const directory = await mkdtemp(join(tmpdir(), "kv-"));
  const socketDirectory = goPlugin === "1.4" ? "TMPDIR" : "PLUGIN_UNIX_SOCKET_DIR";
  const child = spawn(program, flags, {
    cwd: directory,
    detached: true,
    stdio: [stdin, "pipe", "pipe"],
    env: { ...HANDSHAKE, [socketDirectory]: directory, ...environment },
  }) as ChildProcessByStdio<Writable | null, Readable, Readable>;
  child.stdin?.on("error", () => {});
  const closed = once(child, "close");
  const stdout = new Output(child.stdout);
  const stderr = new Output(child.stderr);
  onTestFinished(async () => {
    endAll(child, stderr);
    await closed;
    await rm(directory, { recursive: true });
  });
  const exited = once(child, "exit").then(([code, signal]) => ({ code, signal }));
  const handshake = async () => (await stdout.until(/^\d\|.*\n/m)).trimEnd().split("|");
  const dial = async () => dialTo((await handshake()).slice(2, 4) as [string, string]);
  const endInput = () => child.stdin?.end();
  return { pid: child.pid as number, stdout, stderr, directory, exited, closed, handshake, dial, endInput };
}

/** What a stream has given so far. */
export class Output {
  text = "";
  /** Resolves when it gives no more. */
  readonly ended: Promise<unknown>;
  readonly #stream: Readable;

  constructor(stream: Readable) {
    this.#stream = stream;
    this.ended = once(stream, "close");
    stream.setEncoding("utf8").on("data", (chunk: string) => {
      this.text += chunk;
      stream.emit("more");
    });
  }

  /** What `pattern` matches, as soon as it does. Rejects if the stream ends without that. */
  until(pattern: RegExp): Promise<string> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = pattern.exec(this.text);
        if (found) resolve(found[0]);
      };
      this.#stream
        .on("more", look)
        .on("close", () => reject(new Error(`No ${pattern} in ${JSON.stringify(this.text)}`)));
      look();
    });
  }
}

/** Whether there is such a process, or with a negative number such a process group. */
export function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Connects to an address in plaintext, until the test is over. */
export function dialTo([network, address]: [string, string]): Transport {
  const port = Number(address.split(":").at(-1));
  const createConnection = () => (network === "unix" ? connect(address) : connect(port, "127.0.0.1"));
  const sessionManager = new Http2SessionManager("http://localhost", {}, { createConnection });
  onTestFinished(() => sessionManager.abort());
  return createGrpcTransport({ baseUrl: "http://localhost", sessionManager });
}

function endAll(child: ChildProcess, stderr: Output): void {
  const grandchildren = [...stderr.text.matchAll(/^grandchild (\d+)$/gm)].map(([, pid]) => Number(pid));
  for (const pid of [-(child.pid as number), ...grandchildren]) signalFound(pid);
}
