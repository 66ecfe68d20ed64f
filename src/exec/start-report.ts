import { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";
import type { Tail } from "../lifetime/tail.ts";
import { describeExit } from "./exit-status.ts";

/** What the supervisor says of a plugin that it has started. */
export interface StartReport {
  /** Process id on the box. */
  readonly pid: number;
  /** When the process started, in the box kernel's own count; empty where there is no /proc. */
  readonly startTime: string;
  /** The supervisor's process id. */
  readonly supervisorPid: number;
  /** Operating system and machine, as `uname -sm` tells: `Linux/x86_64`. */
  readonly platform: string;
  /** The private directory on the box, an absolute path. */
  readonly directory: string;
}

/** Why a command did not start, in words, by the reason that the supervisor gave. */
const REASONS = new Map<string, readonly [what: string, hint: string]>(
  Object.entries({
    "no-such-command": [
      "there is no such command on the box",
      "A non-interactive login has a short PATH: give the full path of the plugin on the box.",
    ],
    "not-executable": ["the file is there but may not be executed", "Try `chmod +x` on the box."],
    "is-a-directory": ["it is a directory, not a program", "Name the program's file."],
    "no-such-directory": ["the working directory cannot be entered", "Check `directory`: it is a path on the box."],
    "no-private-directory": [
      "no private directory could be made on the box",
      "One of $TMPDIR, /tmp, $XDG_RUNTIME_DIR, /var/tmp and $HOME must be writable, or name one in `directoryBase`.",
    ],
  }),
);

/**
 * Reads the supervisor's report.
 *
 * @throws {PluginError} `plugin-not-started` if it reports a failure or makes no sense
 */
export function parseStartReport(report: string, program: string): StartReport {
  const [, pid, start, supervisor, platform, directory] =
    /^started pid=(\d+) start=(\d*) supervisor=(\d+) platform=(\S*) dir=(.+)$/.exec(report) ?? [];
  if (pid && supervisor && directory) {
    return {
      pid: Number(pid),
      startTime: start ?? "",
      supervisorPid: Number(supervisor),
      platform: platform || "unknown",
      directory,
    };
  }
  const [, reason] = /^failed reason=(\S+)/.exec(report) ?? [];
  const unknown = [`the supervisor reported ${JSON.stringify(report)}`, ""] as const;
  const [what, hint] = REASONS.get(reason ?? "") ?? unknown;
  throw new PluginError("plugin-not-started", `${JSON.stringify(program)} was not started: ${what}.`, { hint });
}

/** The error for a login shell that ended without running our program. */
export function noReport(exit: ExitStatus | undefined, noise: readonly Tail[]): PluginError {
  const ended = exit ? `ended with ${describeExit(exit)}` : "closed the channel";
  return new PluginError("plugin-not-started", `The box ${ended} before it ran our program.${saidInstead(noise)}`, {
    hint:
      "The login needs a POSIX /bin/sh and must be allowed to run commands: look for a forced command " +
      "(ForceCommand in sshd_config, command= in authorized_keys), a `nologin` shell, or an rc file that exits.",
  });
}

/** What came instead of a report, quoted; empty if nothing came. */
export function saidInstead(noise: readonly Tail[]): string {
  const said = noise.map(String).join("").trim();
  return said === "" ? "" : `\nIt said:\n${said.replace(/^/gm, "  ")}`;
}
