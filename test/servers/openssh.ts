import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { delimiter, join } from "node:path";
import { eventually } from "../tools/eventually.ts";
import { endOpenSsh, sessionPids } from "./openssh-end.ts";
import { type OpenSshFiles, writeOpenSshFiles } from "./openssh-files.ts";
import type { TestServer } from "./server.ts";

/** How often another port is tried when somebody took the free one first. */
const PORT_ATTEMPTS = 5;

/** What a throw-away sshd shall be like. */
export interface OpenSshOptions {
  /** Lines of sshd_config. sshd keeps the first value of a keyword, so these win over ours. */
  options?: readonly string[];
  /** @default "VERBOSE" */
  logLevel?: string;
  /**
   * The account to log in to, which must exist; only root may name another than its own.
   * @default the current user
   */
  user?: string;
}

/** Where sshd is, or `undefined` where it is not installed. */
export function findSshd(): string | undefined {
  const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return places.map((place) => join(place, "sshd")).find((path) => path.startsWith("/") && isExecutable(path));
}

/** Whether this machine can run {@link startOpenSsh}. */
export function hasOpenSsh(): boolean {
  return findSshd() !== undefined;
}

/** Starts a real sshd on a free loopback port, with keys and a configuration of its own in a temporary directory. */
export async function startOpenSsh(options: OpenSshOptions = {}): Promise<TestServer> {
  const sshd = findSshd();
  if (!sshd) throw new Error("There is no sshd here. Install openssh-server.");
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  for (let attempt = 1; ; attempt += 1) {
    const files = await writeOpenSshFiles(await freePort(), options);
    const child = spawn(sshd, ["-D", "-E", files.logFile, "-f", files.configFile], { stdio: "ignore" });
    endWithUs(child, files);
    try {
      await listening(child, files);
      return testServer(child, files);
    } catch (failure) {
      await endOpenSsh({ child, files }, { leftovers: "end" });
      const taken = failure instanceof Error && failure.message.includes("Address already in use");
      if (!taken || attempt === PORT_ATTEMPTS) throw failure;
    }
  }
}

function testServer(child: ChildProcess, files: OpenSshFiles): TestServer {
  const { port, user, identityFile, privateKey, knownHostsFile, hostKeyFingerprint, logFile } = files;
  const pid = child.pid ?? 0;
  let stopping: Promise<void> | undefined;
  const stop: TestServer["stop"] = (options = {}) => {
    stopping ??= endOpenSsh({ child, files }, options);
    return stopping;
  };
  return {
    name: "openssh",
    host: "127.0.0.1",
    port,
    user,
    identityFile,
    privateKey,
    knownHostsFile,
    hostKeyFingerprint,
    pid,
    log: () => readFile(logFile, "utf8"),
    sessionPids: () => sessionPids(pid),
    killSessions: (signal) => {
      for (const session of sessionPids(pid)) process.kill(session, signal);
    },
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Resolves when sshd says that it listens; fails with its log when it ends instead. */
function listening(child: ChildProcess, { logFile }: OpenSshFiles): Promise<unknown> {
  const ended = new Promise<never>((_resolve, reject) => {
    child.once("error", reject);
    child.once("exit", async () => reject(new Error(`sshd did not start:\n${await readFile(logFile, "utf8")}`)));
  });
  const log = () => readFile(logFile, "utf8");
  const heard = eventually(async () => (await log()).includes("Server listening"), {
    what: "sshd to listen",
    state: log,
  });
  // When sshd ends first, nobody is left to hear that the other wait has failed.
  heard.catch(() => {});
  return Promise.race([ended, heard]);
}

/**
 * Sees to it that a listener and its directory go with this process, in case that a test hangs and nobody stops its
 * server. Whoever ends a hanging test gives no process the time to tidy up, so another process watches this one's end.
 */
function endWithUs(child: ChildProcess, { directory }: OpenSshFiles): void {
  if (child.pid === undefined) return;
  const script = 'read -r line; kill -KILL "$1"; rm -rf "$2"';
  const guard = spawn("/bin/sh", ["-c", script, "guard", String(child.pid), directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.stdin.on("error", () => {});
  child.once("exit", () => guard.kill("SIGKILL"));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A port that nobody listens on right now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
