import { execFile } from "node:child_process";
import { PluginError } from "../../contract/errors.ts";

/** The `ssh` that is installed. */
export interface SystemSsh {
  /** What it says of itself: `OpenSSH_9.2p1 …`. */
  readonly version: string;
  /** Its version as a number: 9.2. */
  readonly number: number;
}

/** Before 7.4 a master has no proxy mode. */
const OLDEST = 7.4;
const ASK_MS = 10_000;

/**
 * Looks at the `ssh` in the PATH.
 *
 * @throws {PluginError} `unsupported` if there is none that can be used
 */
export function findSystemSsh(): Promise<SystemSsh> {
  return new Promise((resolve, reject) => {
    if (process.platform === "win32") return reject(unusable("OpenSSH for Windows shares no connections"));
    execFile("ssh", ["-V"], { timeout: ASK_MS }, (failure, stdout, stderr) => {
      const version = `${stdout}${stderr}`.trim();
      const [, number] = /OpenSSH_(?:for_\w+_)?(\d+\.\d+)/.exec(version) ?? [];
      if (failure) return reject(unusable(`it cannot be started (${failure.message.trim()})`, failure));
      if (number === undefined || Number(number) < OLDEST) {
        return reject(unusable(`it is ${JSON.stringify(version)}, not OpenSSH ${OLDEST} or later`));
      }
      resolve({ version, number: Number(number) });
    });
  });
}

function unusable(why: string, cause?: unknown): PluginError {
  return new PluginError("unsupported", `The \`ssh\` of this machine cannot be used: ${why}.`, {
    hint: 'Install OpenSSH\'s client, or connect with `backend: "ssh2"`.',
    cause,
  });
}
