import { setTimeout as delay } from "node:timers/promises";

/** How long a process may take to end after it was asked to. */
const GRACE_MS = 1_000;
/** The same, when this process is about to end and all else stands still. */
const LAST_GRACE_MS = 100;
const POLL_MS = 10;

const groups = new Set<number>();

/** Sees to it that a process group ends with this process, until {@link endGroup} has ended it. */
export function endGroupWithUs(leader: number): void {
  if (groups.size === 0) process.on("exit", endAll);
  groups.add(leader);
}

/** Ends a process group: TERM, a grace, KILL. Resolves when it has no member any more, or once it was sent KILL; never rejects. */
export async function endGroup(leader: number): Promise<void> {
  const deadline = performance.now() + GRACE_MS;
  for (let there = send(leader, "SIGTERM"); there; there = send(leader, 0)) {
    if (performance.now() > deadline) {
      send(leader, "SIGKILL");
      break;
    }
    await delay(POLL_MS);
  }
  groups.delete(leader);
  if (groups.size === 0) process.off("exit", endAll);
}

/** Whether the group had anybody to signal. */
function send(leader: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(-leader, signal);
  } catch {
    return false;
  }
}

function endAll(): void {
  for (const leader of groups) send(leader, "SIGTERM");
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, LAST_GRACE_MS);
  for (const leader of groups) send(leader, "SIGKILL");
}
