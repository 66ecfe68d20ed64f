import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex, Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { eventually } from "./eventually.ts";

const PROGRAM = fileURLToPath(new URL("./on-terminal.py", import.meta.url));
/** How long a program may take to show something on a busy machine. */
const SHOWS_MS = 30_000;

/** How a program ended, and how it left the terminal. */
export interface EndedOnTerminal {
  /** Negative: the signal that ended it. */
  readonly code: number;
  /** Whether the terminal shows what is typed, and edits lines, as before. */
  readonly echo: boolean;
  readonly lines: boolean;
  readonly stdout: string;
  readonly stderr: string;
  /** All that the terminal showed. */
  readonly shown: string;
}

/** A program that runs with a terminal of its own; its stdout and stderr go elsewhere, and its stdin is empty. */
export interface OnTerminal {
  /** Resolves when the terminal shows `text` after what an earlier call has waited for. */
  shows(text: string): Promise<void>;
  type(keys: string): void;
  /** Passed on to the program. */
  kill(signal: "SIGTERM" | "SIGHUP" | "SIGINT"): void;
  readonly ended: Promise<EndedOnTerminal>;
}

/** Starts a program on a terminal of its own; needs python3. */
export function startOnTerminal(command: readonly string[], env: Record<string, string>): OnTerminal {
  const child = spawn("/usr/bin/python3", [PROGRAM, ...command], {
    env,
    stdio: ["ignore", "pipe", "pipe", "pipe", "pipe"],
  });
  const terminal = child.stdio[3] as Duplex;
  let shown = "";
  let seen = 0;
  terminal.setEncoding("utf8").on("data", (piece: string) => {
    shown += piece;
  });
  terminal.on("error", () => {});
  const outputs = [child.stdout, child.stderr, child.stdio[4]].map((stream) => text(stream as Readable));
  const closed = once(child, "close");
  const ended = Promise.all(outputs).then(async ([stdout = "", stderr = "", report = ""]) => {
    await closed;
    if (report === "") throw new Error(`It was not run on a terminal:\n${stderr}`);
    return { ...JSON.parse(report), stdout, stderr, shown } as EndedOnTerminal;
  });
  ended.catch(() => {});
  return {
    shows: async (wanted) => {
      const state = () => ({ shown, exit: child.exitCode });
      const at = await eventually(() => shown.indexOf(wanted, seen) >= 0 && shown.indexOf(wanted, seen) + 1, {
        what: `the terminal to show ${wanted}`,
        state,
        timeoutMs: SHOWS_MS,
      });
      seen = at - 1 + wanted.length;
    },
    type: (keys) => terminal.write(keys),
    kill: (signal) => child.kill(signal),
    ended,
  };
}
