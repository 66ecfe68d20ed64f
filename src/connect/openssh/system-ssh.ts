import { PluginError } from "../../contract/errors.ts";
import { sshVersion } from "../config/ssh-version.ts";

/** The `ssh` that is installed. */
export interface SystemSsh {
  /** What it says of itself: `OpenSSH_9.2p1 …`. */
  readonly version: string;
  /** Its version as a number: 9.2. */
  readonly number: number;
}

/** Before 7.6 it knows neither `RemoteCommand` nor `accept-new`. */
const OLDEST = 7.6;

/**
 * Looks at the `ssh` in the PATH, as {@link sshVersion} does.
 *
 * @throws {PluginError} `unsupported` if there is none that can be used; `timeout` if it does not answer
 */
export async function findSystemSsh(): Promise<SystemSsh> {
  if (process.platform === "win32") throw unusable("OpenSSH for Windows shares no connections");
  const run = await sshVersion();
  if (run === undefined) throw unusable("there is none on the PATH that can be started");
  const version = `${run.output}${run.said}`.trim();
  const [, number] = /OpenSSH_(?:for_\w+_)?(\d+\.\d+)/.exec(version) ?? [];
  if (run.ended !== 0) throw unusable(`\`ssh -V\` ended with ${run.ended}`);
  if (number === undefined || Number(number) < OLDEST) {
    throw unusable(`it is ${JSON.stringify(version)}, not OpenSSH ${OLDEST} or later`);
  }
  return { version, number: Number(number) };
}

function unusable(why: string): PluginError {
  return new PluginError("unsupported", `The \`ssh\` of this machine cannot be used: ${why}.`, {
    hint: 'Install OpenSSH\'s client, or connect with `backend: "ssh2"`.',
  });
}
