import type { ChildProcess } from "node:child_process";
import { inject } from "vitest";
import { signalFound } from "../tools/leaks.ts";
import { endContainer, endWithUs } from "./container-end.ts";
import { type ContainerFiles, writeContainerFiles } from "./container-files.ts";
import { docker, hasBridge, type Image, imageName, logOf, processesOf, type Suite, saying } from "./docker.ts";
import type { TestServer } from "./server.ts";
import { freePort } from "./spawn-server.ts";

/** How often another port is tried when somebody took the free one first. */
const PORT_ATTEMPTS = 5;
/** What each image says when it listens. */
const LISTENS: Record<Image, RegExp> = { sshd: /Server listening on/, dropbear: /Not backgrounding/ };
/** What the processes are called that serve a connection each, and the one that listens. */
const SERVES: Record<Image, RegExp> = {
  sshd: /^(\S*\/)?sshd(-session|-auth)?(:|\s|$)/,
  dropbear: /^(\S*\/)?dropbear\s/,
};

/** What a box in a container shall be like. */
export interface ContainerOptions {
  /** @default "sshd" */
  image?: Image;
  /** @default "bookworm" */
  suite?: Suite;
  /** A name in `docker/sshd/configurations`. */
  configuration?: string;
  /** What sshd is told beyond that, as `-o NAME=value`. */
  sshdArguments?: readonly string[];
  /** Stands before the key in `authorized_keys`. */
  keyOptions?: string;
  /** @default "dev" */
  user?: "dev" | "root" | "robot";
  /** A directory to be seen in the container too, under the same path. */
  shared?: string;
  /** Whether processes have the same number in the container as here. */
  samePids?: boolean;
}

/** A server in a container of its own. */
export interface ContainerServer extends TestServer {
  /** The container's id. */
  readonly id: string;
  /** The processes in the container, besides those of the server, as this machine sees them; in words. */
  processes(): string[];
}

/**
 * Starts a container with a server in it, which is there for this process only. Its port is on this machine's loopback;
 * where the engine cannot give it a network of its own, it shares that of this machine.
 *
 * @throws {Error} if the image could not be made, or with the container's own words
 */
export async function startContainer(options: ContainerOptions = {}): Promise<ContainerServer> {
  const images = inject("images");
  if (!images) throw new Error("A test file that needs a container must import test/servers/container.ts itself.");
  if ("failure" in images) throw new Error(images.failure);
  const bridged = await hasBridge();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryToStart(options, bridged ? undefined : await freePort());
    } catch (failure) {
      const taken = failure instanceof Error && /Address already in use/i.test(failure.message);
      if (!taken || attempt === PORT_ATTEMPTS) throw failure;
    }
  }
}

/** @param ownPort where to listen if the container shares this machine's network */
async function tryToStart(options: ContainerOptions, ownPort: number | undefined): Promise<ContainerServer> {
  const { image = "sshd", suite = "bookworm", shared, samePids = false, sshdArguments = [] } = options;
  const files = await writeContainerFiles(options);
  const network =
    ownPort === undefined
      ? ["--publish", "127.0.0.1::22"]
      : ["--network", "host", "--env", "LISTEN=127.0.0.1", "--env", `PORT=${ownPort}`];
  const uid = process.getuid?.() ?? 0;
  const id = await docker(
    "run",
    "--detach",
    "--no-healthcheck",
    ...network,
    ...(samePids ? ["--pid", "host"] : []),
    ...(shared === undefined ? [] : ["--volume", `${shared}:${shared}`]),
    // The tests' own files, for a plugin to run.
    ...["--volume", `${files.fixtures}:/fixtures:ro`],
    ...["--env", `AUTHORIZED_KEY=${files.authorizedKey}`, "--env", `CONFIGURATION=${options.configuration ?? ""}`],
    // What runs in there is ours to signal, also where we are not root.
    ...(uid > 0 ? ["--env", `LOGIN_UID=${uid}`] : []),
    imageName(image, suite),
    ...sshdArguments,
  );
  const guard = endWithUs(id, files);
  try {
    const says = await saying(id, LISTENS[image]);
    const [{ pid, port }, before] = await Promise.all([whereIs(id, ownPort), docker("diff", id)]);
    await files.know(port, says);
    return containerServer({ id, pid, port, files, guard, before, image, user: options.user ?? "dev" });
  } catch (failure) {
    await endContainer({ id, files, guard }, { leftovers: "end" });
    throw failure;
  }
}

interface Parts {
  readonly id: string;
  readonly pid: number;
  readonly port: number;
  readonly files: ContainerFiles;
  readonly guard: ChildProcess;
  /** What had changed in the container's file system when it was ready. */
  readonly before: string;
  readonly image: Image;
  readonly user: string;
}

function containerServer({ id, pid, port, files, guard, before, image, user }: Parts): ContainerServer {
  const serves = (command: string) => SERVES[image].test(command);
  const sessionPids = () =>
    processesOf(id)
      .filter((row) => row.pid !== pid && serves(row.command))
      .map((row) => row.pid);
  const processes = () =>
    processesOf(id)
      .filter((row) => !serves(row.command))
      .map((row) => `process ${row.pid}: ${row.command}`);
  let stopping: Promise<void> | undefined;
  const stop: TestServer["stop"] = (options = {}) => {
    stopping ??= endContainer({ id, files, guard, before, processes }, options);
    return stopping;
  };
  return {
    name: image,
    host: "127.0.0.1",
    port,
    user,
    identityFile: files.identityFile,
    privateKey: files.privateKey,
    knownHostsFile: files.knownHostsFile,
    get hostKeyFingerprint() {
      return files.hostKeyFingerprint;
    },
    id,
    pid,
    processes,
    log: () => logOf(id),
    sessionPids,
    killSessions: (signal) => {
      for (const session of sessionPids()) signalIfOurs(session, signal);
    },
    stop,
    [Symbol.asyncDispose]: () => stop(),
  };
}

/** Its process as this machine sees it, and its port on this machine. */
async function whereIs(id: string, ownPort: number | undefined): Promise<{ pid: number; port: number }> {
  const published = ownPort ?? '{{(index (index .NetworkSettings.Ports "22/tcp") 0).HostPort}}';
  const [pid, port] = (await docker("inspect", "--format", `{{.State.Pid}} ${published}`, id)).split(" ").map(Number);
  return { pid: pid ?? 0, port: port ?? 0 };
}

/** The part of a server that belongs to root is nobody else's to signal; it ends with the part that is the login's. */
function signalIfOurs(pid: number, signal: NodeJS.Signals): void {
  try {
    signalFound(pid, signal);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== "EPERM") throw failure;
  }
}
