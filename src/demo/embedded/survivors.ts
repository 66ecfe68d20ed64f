import { setTimeout as delay } from "node:timers/promises";
import { environmentOf, type ProcessRow, processTable } from "./process-table.ts";

/** How often the process table is read while waiting for processes to end. */
const POLL_MS = 20;

/** What tells the processes of one SSH server from all others. */
export interface Descent {
  /** The server's port: sshd names it in `SSH_CONNECTION`, which every descendant inherits. */
  readonly port: number;
  /** Process groups or sessions of the commands, for those who changed their environment. */
  readonly groups: ReadonlySet<number>;
}

/** The living processes that an SSH server started, directly or not, also those whose parents are gone. */
export function survivors({ port, groups }: Descent): ProcessRow[] {
  const mark = new RegExp(`^SSH_CONNECTION=.* ${port}$`);
  return processTable().filter(({ pid, group, session }) => {
    if (pid === process.pid) return false;
    return groups.has(group) || groups.has(session) || environmentOf(pid).some((entry) => mark.test(entry));
  });
}

/** Waits until none is left, at most `timeoutMs`, and gives those that still live then. */
export async function outlast(descent: Descent, timeoutMs: number): Promise<ProcessRow[]> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const left = survivors(descent);
    if (left.length === 0 || performance.now() >= deadline) return left;
    await delay(POLL_MS);
  }
}

/** Sends SIGKILL to each of `rows`; one that has gone meanwhile is fine. */
export function killAll(rows: readonly Pick<ProcessRow, "pid">[]): void {
  for (const { pid } of rows) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself.
    }
  }
}
