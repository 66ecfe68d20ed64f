import { PluginError, type PluginErrorCode } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";
import { harmless, type Tail } from "../lifetime/tail.ts";
import { describeExit } from "./exit-status.ts";
import type { LaunchSpec } from "./launch.ts";
import { quote } from "./quote.ts";

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

/** What a failure was started with, as far as its text needs it. */
export type ReportContext = Pick<LaunchSpec, "unixSocketGroup" | "secureConfig">;

type Reason = readonly [what: string, hint: string, code?: PluginErrorCode];

const UNVERIFIED = "error verifying checksum: ";

/** Why a command did not start, in words, by the reason that the supervisor gave. */
const REASONS = new Map<string, Reason>(
  Object.entries({
    "no-such-command": [
      "there is no such command on the box",
      "A non-interactive login has a short PATH: give the full path of the plugin on the box.",
    ],
    "not-executable": [
      "the file is there but may not be executed",
      "Try `chmod +x` on the box. Nothing on a file system that is mounted `noexec` may be executed, often so for /tmp.",
    ],
    "is-a-directory": ["it is a directory, not a program", "Name the program's file."],
    "no-such-directory": ["the working directory cannot be entered", "Check `directory`: it is a path on the box."],
    "no-private-directory": [
      "no private directory could be made on the box",
      "One of $TMPDIR, /tmp, $XDG_RUNTIME_DIR, /var/tmp and $HOME must be writable, or name one in `directoryBase`.",
    ],
    "group-refused": [
      "the box did not let the group of `unixSocketGroup` have the private directory",
      "Whoever logs in must be a member of that group.",
    ],
    "checksum-of-a-word": [
      `${UNVERIFIED}the box's shell has a command of its own of that name`,
      "Give the full path of the plugin on the box.",
    ],
    "checksum-unreadable": [
      `${UNVERIFIED}the file may be executed but not read`,
      "Let the login read it: try `chmod +r` on the box.",
    ],
  }),
);

/**
 * Reads the supervisor's report.
 *
 * @throws {PluginError} `plugin-not-started` if it reports a failure or makes no sense; `checksum-mismatch`, or
 *   `unsupported` if the box cannot make the checksum
 */
export function parseStartReport(report: string, program: string, context: ReportContext = {}): StartReport {
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
  const [, reason = "", detail = ""] = /^failed reason=(\S+) ?(.*)/.exec(report) ?? [];
  const unknown: Reason = [`the supervisor reported ${JSON.stringify(report)}`, ""];
  const [what, hint, code = "plugin-not-started"] =
    REASONS.get(reason) ?? reasonInContext(reason, detail, context) ?? unknown;
  throw new PluginError(code, `${JSON.stringify(program)} was not started: ${what}.`, { hint });
}

/** The reasons that cannot be told without what was asked for. */
function reasonInContext(reason: string, detail: string, context: ReportContext): Reason | undefined {
  const { unixSocketGroup, secureConfig } = context;
  if (reason === "no-such-group") {
    return [`failed to find gid from ${JSON.stringify(unixSocketGroup)}`, "The group must exist on the box."];
  }
  if (reason === "checksum-mismatch" && /^[0-9a-f]+$/.test(detail)) {
    const hint = "Compare the plugin's version on the box with the one that the checksum was made of.";
    return [`checksums did not match: the ${secureConfig?.hash} of the file is ${detail}`, hint, "checksum-mismatch"];
  }
  if (reason === "checksum-without-tool") {
    const what = `${UNVERIFIED}the box has no program that makes a ${secureConfig?.hash}`;
    return [what, `Install ${secureConfig?.hash}sum (coreutils), shasum or openssl on the box.`, "unsupported"];
  }
  return undefined;
}

/**
 * The error for a login shell that ended without running our program.
 *
 * @param environment what was sent to it, which the message must not show
 */
export function noReport(
  exit: ExitStatus | undefined,
  noise: readonly Tail[],
  environment: Readonly<Record<string, string>> = {},
): PluginError {
  const ended = exit ? `ended with ${describeExit(exit)}` : "closed the channel";
  const said = saidInstead(noise, environment);
  return new PluginError("plugin-not-started", `The box ${ended} before it ran our program.${said}`, {
    hint:
      "The login needs a POSIX /bin/sh and must be allowed to run commands: look for a forced command " +
      "(ForceCommand in sshd_config, command= in authorized_keys), a `nologin` shell, or an rc file that exits.",
  });
}

/** How much of a value's end is enough to recognize it, where its beginning may have been dropped. Less may be chance. */
const RECOGNIZED = 8;

/**
 * What came instead of a report, quoted; empty if nothing came. Something that sends back what it was given would show
 * the environment, so then nothing is quoted.
 */
export function saidInstead(noise: readonly Tail[], environment: Readonly<Record<string, string>>): string {
  const said = noise.map(String).join("").trim();
  if (said === "") return "";
  const isEcho = Object.entries(environment).some(([name, value]) => {
    const ends = [value, quote(value)].map((text) => harmless(text).slice(-RECOGNIZED));
    return said.includes(`export ${name}=`) || (value.length >= RECOGNIZED && ends.some((end) => said.includes(end)));
  });
  if (isEcho) return "\nIt sent back what it was given, which is not shown because it holds the plugin's environment.";
  return `\nIt said:\n${said.replace(/^/gm, "  ")}`;
}
