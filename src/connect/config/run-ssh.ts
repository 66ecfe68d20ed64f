import { type ChildProcess, spawn } from "node:child_process";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { Tail } from "../../lifetime/tail.ts";

/** `ssh` answers in milliseconds; only a `Match exec` or a name server can keep it longer. */
const ANSWER_MS = 30_000;
/** Hundreds of times what `ssh` prints about a host. */
const ANSWER_LIMIT = 4 * 1024 * 1024;

/** How `ssh` ended, and what it printed. */
export interface SshRun {
  /** The exit code, or the name of the signal or the failure. */
  readonly ended: number | string;
  readonly output: string;
  /** The end of what it said on stderr, harmless. */
  readonly said: string;
}

/**
 * Runs the installed `ssh` for something that needs no server, without a shell. `undefined` where there is none.
 *
 * @throws {PluginError} `config-error` for an endless answer, `timeout` or `aborted`; whatever was started is ended then
 */
export async function runSsh(args: readonly string[], signal?: AbortSignal): Promise<SshRun | undefined> {
  const onTimeout = () =>
    new PluginError("timeout", `\`ssh ${args[0]}\` did not answer within ${ANSWER_MS} ms.`, {
      hint: "A `Match exec` in the configuration may wait for something.",
    });
  return within({ signal, timeoutMs: ANSWER_MS, onTimeout }, async (over) => {
    // A group of its own ends with what it started.
    const ssh = spawn("ssh", args, { stdio: ["ignore", "pipe", "pipe"], detached: true });
    const stop = () => kill(ssh);
    over.addEventListener("abort", stop, { once: true });
    try {
      return await answerOf(ssh);
    } finally {
      over.removeEventListener("abort", stop);
    }
  });
}

async function answerOf(ssh: ChildProcess): Promise<SshRun | undefined> {
  const [said, output] = [new Tail(), [] as Buffer[]];
  let length = 0;
  ssh.stderr?.on("error", () => {}).on("data", (chunk: Buffer) => said.push(chunk));
  ssh.stdout
    ?.on("error", () => {})
    .on("data", (chunk: Buffer) => {
      length += chunk.length;
      if (length <= ANSWER_LIMIT) output.push(chunk);
      else kill(ssh);
    });
  const ended = await new Promise<number | string>((resolve) => {
    ssh.on("error", (failure: NodeJS.ErrnoException) => resolve(failure.code ?? "unknown"));
    ssh.on("close", (code, by) => resolve(code ?? by ?? "unknown"));
  });
  if (ended === "ENOENT" || ended === "EACCES") return undefined;
  if (length > ANSWER_LIMIT) throw new PluginError("config-error", "`ssh` told more than can be a configuration.");
  return { ended, output: Buffer.concat(output).toString("utf8"), said: said.toString().trim() };
}

/** Ends `ssh` and what it runs for a `Match exec`. */
function kill(ssh: ChildProcess): void {
  if (ssh.pid === undefined || ssh.exitCode !== null || ssh.signalCode !== null) return;
  try {
    process.kill(-ssh.pid, "SIGKILL");
  } catch {
    // It has ended meanwhile.
  }
}
