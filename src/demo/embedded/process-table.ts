import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** One living process. */
export interface ProcessRow {
  readonly pid: number;
  readonly parentPid: number;
  /** The process group. */
  readonly group: number;
  /** The session; 0 where it cannot be known. */
  readonly session: number;
  /** The command line, its words joined by spaces. */
  readonly command: string;
}

/** All processes that live now. A process that has died and was not reaped yet is not among them. */
export function processTable(): ProcessRow[] {
  return process.platform === "linux" ? fromProc() : fromPs();
}

/** The environment that a process was started with, `NAME=value` each; empty where it cannot be read. */
export function environmentOf(pid: number): string[] {
  return (readIfThere(`/proc/${pid}/environ`) ?? "").split("\0");
}

function fromProc(): ProcessRow[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      const stat = readIfThere(`/proc/${name}/stat`);
      if (stat === undefined) return [];
      // The name stands in parentheses and may itself contain spaces and parentheses.
      const [state, parentPid, group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (state === "Z" || state === "X") return [];
      const words = (readIfThere(`/proc/${name}/cmdline`) ?? "").replace(/\0$/, "").replaceAll("\0", " ");
      const command = words || stat.slice(stat.indexOf("("), stat.lastIndexOf(")") + 1);
      return [
        { pid: Number(name), parentPid: Number(parentPid), group: Number(group), session: Number(session), command },
      ];
    });
}

function fromPs(): ProcessRow[] {
  const table = execFileSync("ps", ["-axww", "-o", "pid=,ppid=,pgid=,stat=,command="], { encoding: "utf8" });
  return table.split("\n").flatMap((line) => {
    const [, pid, parentPid, group, state, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (command === undefined || state?.startsWith("Z")) return [];
    return [{ pid: Number(pid), parentPid: Number(parentPid), group: Number(group), session: 0, command }];
  });
}

/** A file's text, or `undefined` if it is gone or not for us, as happens to processes that end or belong to others. */
function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
