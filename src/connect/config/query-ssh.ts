import { PluginError } from "../../contract/errors.ts";
import { type ConfigValues, parseAnswer } from "./config-values.ts";
import { runSsh, type SshRun } from "./run-ssh.ts";
import { sshVersion } from "./ssh-version.ts";

/**
 * What the installed `ssh` would do, by its own word (`ssh -G`): every keyword with its values, defaults too. It reads
 * files and may run what `Match exec` names; it does not connect. `undefined` where no `ssh` is on the PATH, or one that
 * is not OpenSSH's.
 *
 * @param args go behind `-G`, without a shell
 * @throws {PluginError} `config-error` with what `ssh` said, `bad-options` if it said so of `sshOptions`; `timeout` or
 *   `aborted`. Whatever was started is ended then
 */
export async function querySsh(args: readonly string[], signal?: AbortSignal): Promise<ConfigValues | undefined> {
  if (!(await hasOpenSsh())) return undefined;
  // -T spares us a remark about the terminal that we do not ask for.
  const run = await runSsh(["-T", "-G", ...args], signal);
  if (run === undefined) return undefined;
  if (run.ended !== 0) throw refusal(run);
  return parseAnswer(run.output);
}

/** Whether OpenSSH's `ssh` is on the PATH, which is asked for once: others do not know `-G`, and would connect. */
export async function hasOpenSsh(): Promise<boolean> {
  const run = await sshVersion();
  return /OpenSSH/.test(`${run?.output}${run?.said}`);
}

function refusal({ said, ended }: SshRun): PluginError {
  const text = said === "" ? `it ended with ${ended} and said nothing.` : said;
  if (/^command-line/m.test(text)) {
    return new PluginError("bad-options", `\`ssh\` cannot use \`sshOptions\`: ${text}`, {
      hint: "Each one is a keyword of ssh_config, an equals sign and a value.",
    });
  }
  return new PluginError("config-error", `\`ssh\` cannot use its configuration: ${text}`, {
    hint: 'Mend the file, name another one in `configFile`, or read none with `configFile: "none"`.',
  });
}
