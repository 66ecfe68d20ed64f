import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { openSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { eventually, signalFound } from "../tools/leaks.ts";
import { endSpawned, sessionPids } from "./end-spawned.ts";
import type { TestServer } from "./server.ts";
import { type ServerFiles, writeServerFiles } from "./server-files.ts";

/** How often another port is tried when somebody took the free one first. */
const PORT_ATTEMPTS = 5;
/** How long a server may take from its start until it listens, on a machine that is busy with other tests. */
const LISTENS_MS = 40_000;
/** Ports that no system gives to who asks for any, so that nobody takes a free one by chance. */
const PORTS = { first: 10_000, count: 20_000 };
/** How many ports are looked at for one that is free. */
const LOOKS = 100;

/** How to run one kind of server. */
export interface ServerProgram {
  readonly name: string;
  /** The account that the key opens. @default the current user */
  readonly user?: string | undefined;
  /** Where it listens. @default the loopback of this machine */
  readonly address?: string | undefined;
  /** What its own processes are called, as opposed to the commands that it runs. */
  readonly processes: RegExp;
  /** What it logs when it listens. */
  readonly listens: string;
  /** Set where one process serves all connections: the signal that makes it reset them. */
  readonly resetBy?: NodeJS.Signals;
  /** Writes what it needs beside `files`, and tells how it is started; it logs to stderr, or to `files.logFile`. */
  prepare(files: ServerFiles): Promise<{ command: readonly [string, ...string[]]; env?: Record<string, string> }>;
}

/** Starts a server on a free loopback port, with keys of its own in a temporary directory. */
export async function spawnServer(program: ServerProgram): Promise<TestServer> {
  for (let attempt = 1; ; attempt += 1) {
    const files = await writeServerFiles(await freePort(), program.user, program.address);
    const { command, env = {} } = await program.prepare(files);
    const log = openSync(files.logFile, "a");
    const [file, ...args] = command;
    const child = spawn(file, args, { stdio: ["ignore", log, log], env: { ...process.env, ...env } });
    endWithUs(child, files);
    const spawned = { child, processes: program.processes, port: files.port, directory: files.directory };
    try {
      await listening(child, files, program);
      return testServer(program, spawned, files);
    } catch (failure) {
      await endSpawned(spawned, { leftovers: "end" });
      const taken = failure instanceof Error && /address (already )?in use/i.test(failure.message);
      if (!taken || attempt === PORT_ATTEMPTS) throw failure;
    }
  }
}

function testServer(program: ServerProgram, spawned: Parameters<typeof endSpawned>[0], files: ServerFiles): TestServer {
  const { host, port, user, identityFile, privateKey, knownHostsFile, hostKeyFingerprint, logFile } = files;
  const pid = spawned.child.pid ?? 0;
  const pids = () => (program.resetBy ? [] : sessionPids(pid, program.processes));
  let stopping: Promise<void> | undefined;
  const stop: TestServer["stop"] = (options = {}) => {
    stopping ??= endSpawned(spawned, options);
    return stopping;
  };
  return {
    name: program.name,
    host,
    port,
    user,
    identityFile,
    privateKey,
    knownHostsFile,
    hostKeyFingerprint,
    pid,
    log: () => readFile(logFile, "utf8"),
    sessionPids: pids,
    killSessions: (signal) => {
      if (program.resetBy) process.kill(pid, program.resetBy);
      for (const session of pids()) signalFound(session, signal);
    },
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Resolves when the server says that it listens; fails with its log when it ends instead. */
function listening(child: ChildProcess, { logFile }: ServerFiles, { name, listens }: ServerProgram): Promise<unknown> {
  const log = () => readFile(logFile, "utf8");
  const ended = new Promise<never>((_resolve, reject) => {
    child.once("error", reject);
    // Once it has listened, its end is no failure, and its log may be gone.
    child.once("exit", async () => reject(new Error(`${name} did not start:\n${await log().catch(() => "")}`)));
  });
  let isOver = false;
  const heard = eventually(async () => isOver || (await log()).includes(listens), {
    what: `${name} to listen`,
    state: log,
    timeoutMs: LISTENS_MS,
  });
  // When the server ends first, nobody is left to hear that the other wait has failed.
  heard.catch(() => {});
  return Promise.race([ended, heard]).finally(() => {
    isOver = true;
  });
}

/**
 * Sees to it that a listener and its directory go with this process, in case that a test hangs and nobody stops its
 * server. Whoever ends a hanging test gives no process the time to tidy up, so another process watches this one's end.
 */
function endWithUs(child: ChildProcess, { directory }: ServerFiles): void {
  if (child.pid === undefined) return;
  const script = 'read -r line; kill -KILL "$1"; rm -rf "$2"';
  const guard = spawn("/bin/sh", ["-c", script, "guard", String(child.pid), directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.stdin.on("error", () => {});
  child.once("exit", () => guard.kill("SIGKILL"));
}

/** A port that nobody listens on, now or by chance in a while. */
export async function freePort(): Promise<number> {
  for (let look = 1; ; look += 1) {
    const port = PORTS.first + randomInt(PORTS.count);
    const server = createServer();
    try {
      await once(server.listen({ host: "127.0.0.1", port }), "listening");
      await new Promise((resolve) => server.close(resolve));
      return port;
    } catch (failure) {
      if (look === LOOKS) throw failure;
    }
  }
}
