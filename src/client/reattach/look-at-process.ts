import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

/** How long `ps` may take; it is asked where there is no /proc. */
const PS_MS = 5_000;

/** What can be seen of a process; `undefined` as its start time if that is hidden. */
export type Sight = { readonly isAlive: false } | { readonly isAlive: true; readonly startTime: string | undefined };

const GONE: Sight = { isAlive: false };

/**
 * Looks whether a process of this machine lives, and when it started: field 22 of `/proc/<pid>/stat`, as the supervisor
 * reports it, or what `ps` says where there is no /proc. One that has ended and that nobody has reaped does not live. The
 * process itself notices nothing. Never rejects.
 *
 * @param proc where the kernel's file system for processes is
 */
export async function lookAtProcess(pid: number, proc = "/proc"): Promise<Sight> {
  if (!exists(pid)) return GONE;
  const seen = existsSync(`${proc}/self/stat`) ? readStat(`${proc}/${pid}/stat`) : await askPs(pid);
  if (seen) return seen.isDead ? GONE : { isAlive: true, startTime: seen.startTime };
  // It ended meanwhile, or the system hides the processes of others.
  return exists(pid) ? { isAlive: true, startTime: undefined } : GONE;
}

/** Whether there is a process of that number. One that we may not signal is there all the same. */
function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code === "EPERM";
  }
}

interface Seen {
  isDead: boolean;
  startTime: string;
}

/** Reads what follows the name, which stands in parentheses and may hold anything: the state, and 18 fields later the start. */
function readStat(path: string): Seen | undefined {
  try {
    const fields = /.*\) (.*)/s.exec(readFileSync(path, "latin1"))?.[1]?.split(" ") ?? [];
    const [state, startTime] = [fields[0], fields[19]];
    return state && startTime ? { isDead: isDead(state), startTime } : undefined;
  } catch {
    return undefined;
  }
}

function askPs(pid: number): Promise<Seen | undefined> {
  const { PATH = "/usr/bin:/bin" } = process.env;
  const options = { env: { PATH, LC_ALL: "C", TZ: "UTC" }, timeout: PS_MS };
  return new Promise((resolve) => {
    execFile("ps", ["-o", "stat=", "-o", "lstart=", "-p", String(pid)], options, (_failure, stdout) => {
      const [, state, startTime] = /^\s*(\S+)\s+(\S.*\S)\s*$/.exec(stdout) ?? [];
      resolve(state && startTime ? { isDead: isDead(state), startTime } : undefined);
    });
  });
}

function isDead(state: string): boolean {
  return /^[XZ]/.test(state);
}
