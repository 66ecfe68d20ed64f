import type { ChildProcess } from "node:child_process";
import { rm } from "node:fs/promises";
import { processTable } from "../../src/demo/embedded/process-table.ts";
import { killAll, outlast, survivors } from "../../src/demo/embedded/survivors.ts";
import type { CloseOptions } from "../../src/demo/embedded-server.ts";
import { descendants, eventually, isAlive } from "../tools/leaks.ts";
import { PATIENCE_MS } from "./server.ts";

/** A server that runs as a process. */
export interface SpawnedServer {
  readonly child: ChildProcess;
  /** What its own processes are called, as opposed to the commands that it runs. */
  readonly processes: RegExp;
  readonly port: number;
  /** Goes with it. */
  readonly directory: string;
}

/** The processes of a server that serve connections of the listener `pid`. */
export function sessionPids(pid: number, processes: RegExp): number[] {
  const below = new Set(descendants(pid));
  return processTable()
    .filter((row) => below.has(row.pid) && processes.test(row.command))
    .map((row) => row.pid);
}

/**
 * Ends a server: its listener and its sessions, by their pids. Resolves when they are gone and the directory is removed.
 *
 * @throws {Error} if a command that was started through it lives on after `patienceMs`
 */
export async function endSpawned(
  { child, processes, port, directory }: SpawnedServer,
  { leftovers = "fail", patienceMs = PATIENCE_MS }: CloseOptions,
): Promise<void> {
  const { pid } = child;
  // It was never there.
  if (pid === undefined) return rm(directory, { recursive: true, force: true });
  const sessions = sessionPids(pid, processes);
  const below = new Set(descendants(pid));
  const commands = processTable().filter((row) => below.has(row.pid) && !processes.test(row.command));
  const descent = { port, groups: new Set(commands.map(({ group }) => group)) };
  try {
    // KILL, because a test may have stopped them with a signal.
    if (child.exitCode === null && child.signalCode === null) child.kill("SIGKILL");
    killAll(sessions.map((session) => ({ pid: session })));
    await eventually(() => ![pid, ...sessions].some(isAlive), {
      what: "the server to be gone",
      state: () => [pid, ...sessions].filter(isAlive),
    });

    const living =
      leftovers === "fail" ? await outlast(descent, patienceMs) : leftovers === "end" ? survivors(descent) : [];
    killAll(living);
    if (leftovers === "fail" && living.length > 0) {
      const list = living.map((row) => `process ${row.pid}: ${row.command}`).join("\n");
      throw new Error(`The server on port ${port} was stopped while this was still there:\n${list}`);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
