import { type ChildProcess, spawn } from "node:child_process";
import { rm } from "node:fs/promises";
import type { CloseOptions } from "../../src/demo/embedded-server.ts";
import { eventually } from "../tools/eventually.ts";
import type { ContainerFiles } from "./container-files.ts";
import { docker } from "./docker.ts";
import { PATIENCE_MS } from "./server.ts";

/** What a server writes itself when it listens, and while people log in and out. */
const OF_THE_SERVER = /^\/var\/log\/|^\/run\/\w+\.pid$/;

/** What must be known to end a container. */
export interface Ending {
  readonly id: string;
  readonly files: ContainerFiles;
  /** The process that would end it after us. */
  readonly guard: ChildProcess;
  /** What `docker diff` said when nobody had used the container yet. */
  readonly before?: string;
  /** What runs in there that is not the server, in words. */
  readonly processes?: () => string[];
}

/**
 * Removes a container by its id, with all that this side keeps for it.
 *
 * @throws {Error} if a process, or a file such as a socket or a private directory, is still in it after `patienceMs`
 */
export async function endContainer(
  ending: Ending,
  { leftovers = "fail", patienceMs = PATIENCE_MS }: CloseOptions,
): Promise<void> {
  const { id, files, guard } = ending;
  try {
    if (leftovers !== "fail") return;
    const isEmpty = async () => {
      const left = await leftIn(ending);
      if (left.length > 0) throw new Error(left.join("\n"));
      return true;
    };
    await eventually(isEmpty, { what: `nothing to be left in container ${id.slice(0, 12)}`, timeoutMs: patienceMs });
  } finally {
    await docker("rm", "--force", "--volumes", id);
    await rm(files.directory, { recursive: true, force: true });
    guard.kill("SIGKILL");
  }
}

/** Processes and files that were not there when the container was new. */
async function leftIn({ id, before = "", processes = () => [] }: Ending): Promise<string[]> {
  const old = new Set(before.split("\n"));
  const changes = (await docker("diff", id)).split("\n").filter((line) => line !== "" && !old.has(line));
  // `C` is a directory in which something came or went; what has come has a line of its own.
  const files = changes.filter((line) => line.startsWith("A ") && !OF_THE_SERVER.test(line.slice(2)));
  return [...processes(), ...files];
}

/**
 * Sees to it that a container and the files for it go with this process, in case that a test hangs and nobody stops its
 * server. Whoever ends a hanging test gives no process the time to tidy up, so another process watches this one's end.
 */
export function endWithUs(id: string, { directory }: ContainerFiles): ChildProcess {
  const script = 'read -r line; docker rm --force --volumes "$1"; rm -rf "$2"';
  const guard = spawn("/bin/sh", ["-c", script, "guard", id, directory], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  guard.stdin.on("error", () => {});
  return guard;
}
