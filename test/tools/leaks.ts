import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { processTable } from "../../src/demo/embedded/process-table.ts";

export { eventually, type Patience } from "./eventually.ts";

/**
 * The pids of all living descendants of `pid`, parents before children.
 *
 * @throws {RangeError} for 0 and below, of which every process would be a descendant
 */
export function descendants(pid: number): number[] {
  if (!(pid > 0)) throw new RangeError(`${pid} is not a pid.`);
  const table = processTable();
  const found = [pid];
  for (const parent of found) {
    found.push(...table.filter((row) => row.parentPid === parent && row.pid !== parent).map((row) => row.pid));
  }
  return found.slice(1);
}

/** The living processes whose command line contains `text`, this one excepted. */
export function processesWith(text: string): { pid: number; cmdline: string }[] {
  return processTable()
    .filter(({ pid, command }) => pid !== process.pid && command.includes(text))
    .map(({ pid, command }) => ({ pid, cmdline: command }));
}

/** Whether a process lives; one that has died and was not reaped does not. */
export function isAlive(pid: number): boolean {
  return processTable().some((row) => row.pid === pid);
}

/** Signals a process that was found a moment ago, and may have ended since. */
export function signalFound(pid: number, signal: NodeJS.Signals = "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== "ESRCH") throw failure;
  }
}

/** How many sockets, pipes and listeners this process has open, by the name that Node has for each kind. */
export function openSockets(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const kind of process.getActiveResourcesInfo()) {
    if (/^(TCP|Pipe|UDP)/.test(kind)) counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

/** The names in the directory for temporary files that begin with one of `prefixes`, sorted. */
export function snapshotTmp(prefixes: readonly string[]): string[] {
  return readdirSync(tmpdir())
    .filter((name) => prefixes.some((prefix) => name.startsWith(prefix)))
    .sort();
}
