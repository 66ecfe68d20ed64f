import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** How a program is run. */
export interface RunOptions {
  /** Its whole environment. */
  env: Record<string, string>;
  cwd?: string;
  /** Whether it has a session of its own, and so no terminal, whatever these tests were started on. @default false */
  apart?: boolean;
  /** After how many milliseconds it is killed, and the wait fails. @default 50_000 */
  timeoutMs?: number;
}

/** How a program ended and what it wrote. */
export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface Running {
  readonly child: ChildProcess;
  /** Resolves when what it wrote so far, to stdout or to stderr, holds `text`; fails if it ends before that. */
  said(text: string): Promise<void>;
  /** Resolves when it has ended and all its output is here. */
  readonly ended: Promise<Ended>;
}

/** Runs a program with Node, waits for its end and says how that was. */
export function runNode(args: readonly string[], options: RunOptions): Promise<Ended> {
  return startNode(args, options).ended;
}

/** Starts a program with Node; stdin is empty. */
export function startNode(args: readonly string[], options: RunOptions): Running {
  return start(process.execPath, args, options);
}

/** Starts a program that must end by itself within `timeoutMs`. */
export function start(
  program: string,
  args: readonly string[],
  { env, cwd, apart = false, timeoutMs = 50_000 }: RunOptions,
): Running {
  const stdio = ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"];
  const child = spawn(program, args, { env, ...(cwd ? { cwd } : {}), detached: apart, stdio });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const ended = end(child, timeoutMs, () => ({ stdout, stderr }));
  const said = async (text: string) => {
    const isThere = () => stdout.includes(text) || stderr.includes(text);
    while (!isThere()) {
      const more = [child.stdout, child.stderr].map((stream) => once(stream, "data").then(() => false));
      const isOver = await Promise.race([...more, ended.then(() => true)]);
      if (isOver && !isThere()) throw new Error(`It ended without saying ${text}:\n${stdout}${stderr}`);
    }
  };
  return { child, said, ended };
}

function end(child: ChildProcess, timeoutMs: number, output: () => Pick<Ended, "stdout" | "stderr">): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      const { stdout, stderr } = output();
      reject(new Error(`It did not end within ${timeoutMs} ms:\n${stdout}${stderr}`));
    }, timeoutMs);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, ...output() });
    });
  });
}
