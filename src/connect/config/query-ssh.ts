import { type ChildProcess, spawn } from "node:child_process";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { harmless, Tail } from "../../lifetime/tail.ts";
import { type ConfigValues, parseAnswer } from "./config-values.ts";

/** `ssh` answers in milliseconds; only a `Match exec` or a name server can keep it longer. */
const ANSWER_MS = 30_000;
/** Hundreds of times what `ssh` prints about a host. */
const ANSWER_LIMIT = 4 * 1024 * 1024;

/**
 * What the installed `ssh` would do, by its own word (`ssh -G`): every keyword with its values, defaults too. It reads
 * files and may run what `Match exec` names; it does not connect. `undefined` where there is no `ssh` on the PATH.
 *
 * @param args go behind `-G`, without a shell
 * @throws {PluginError} `config-error` with what `ssh` said, `bad-options` if it said so of `sshOptions`; `timeout` or
 *   `aborted`. Whatever was started is ended then
 */
export async function querySsh(args: readonly string[], signal?: AbortSignal): Promise<ConfigValues | undefined> {
  const onTimeout = () =>
    new PluginError("timeout", `\`ssh -G\` did not tell its configuration within ${ANSWER_MS} ms.`, {
      hint: "A `Match exec` in the configuration may wait for something.",
    });
  return within({ signal, timeoutMs: ANSWER_MS, onTimeout }, async (over) => {
    // -T spares us a remark about the terminal that we do not ask for. A group of its own ends with what it started.
    const ssh = spawn("ssh", ["-T", "-G", ...args], { stdio: ["ignore", "pipe", "pipe"], detached: true });
    const stop = () => kill(ssh);
    over.addEventListener("abort", stop, { once: true });
    try {
      return await answer(ssh);
    } finally {
      over.removeEventListener("abort", stop);
    }
  });
}

async function answer(ssh: ChildProcess): Promise<ConfigValues | undefined> {
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
  if (length > ANSWER_LIMIT) throw new PluginError("config-error", "`ssh -G` told more than can be a configuration.");
  if (ended !== 0) throw refusal(said.toString().trim(), ended);
  return parseAnswer(Buffer.concat(output).toString("utf8"));
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

function refusal(said: string, ended: number | string): PluginError {
  const text = said === "" ? `it ended with ${ended} and said nothing.` : harmless(said);
  if (/^command-line/m.test(text)) {
    return new PluginError("bad-options", `\`ssh\` cannot use \`sshOptions\`: ${text}`, {
      hint: "Each one is a keyword of ssh_config, an equals sign and a value.",
    });
  }
  return new PluginError("config-error", `\`ssh\` cannot use its configuration: ${text}`, {
    hint: 'Mend the file, name another one in `configFile`, or read none with `configFile: "none"`.',
  });
}
