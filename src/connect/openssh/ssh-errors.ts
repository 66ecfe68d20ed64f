import { PluginError } from "../../contract/errors.ts";
import { describeTarget } from "../destination.ts";
import type { Settings } from "../settings.ts";
import { connectionError, type VendorError } from "../ssh2-errors.ts";
import type { SshLog } from "./ssh-log.ts";

const AUTH_HINT =
  "Try `ssh -v` to the same destination. Give a `password`, `keyboardInteractive` or `passphrase` callback if it asks.";
const CONFIG_HINT = "Mend the configuration; `ssh -G` with the same destination reads it too.";

/** What `ssh` and its shell say at any end. */
const UNTELLING = /^(Authenticated to |Shared connection|Transferred: |Bytes per second: |Killed|Terminated)/;

type Explain = (log: SshLog, settings: Settings, cause: unknown) => PluginError;

/** What `ssh` says when it fails, and what that is. The first that fits counts. */
const FAILURES: readonly (readonly [RegExp, Explain])[] = [
  [
    /REVOKED HOST KEY DETECTED|is marked as revoked|has been revoked/i,
    (log, settings, cause) => {
      return hostKeyError("host-key-revoked", "shows a host key that is marked as revoked", log, settings, cause);
    },
  ],
  [
    /HOST IDENTIFICATION HAS CHANGED|has changed and you have requested strict checking/,
    (log, settings, cause) => {
      return hostKeyError("host-key-changed", "shows another host key than the one on record", log, settings, cause);
    },
  ],
  [/Host key verification failed|No \S+ host key is known|key is not known by any other/, unknownKey],
  [
    /Bad configuration option|^(?!\S*sh: line)\S+: line \d+: |terminating, \d+ bad config|Bad owner or permissions|Can't open user config file|command-line( line \d+)?: /im,
    configError,
  ],
  [
    /Permission denied \(|Too many authentication failures|No supported authentication methods|Authentication failed/i,
    authError,
  ],
  [/no matching .* found|Unable to negotiate/i, negotiationError],
];

/** The error for an `ssh` that ended before it was logged in. */
export function startError(log: SshLog, settings: Settings, cause: unknown): PluginError {
  const [, explain = otherError] = FAILURES.find(([pattern]) => pattern.test(log.text)) ?? [];
  return explain(log, settings, cause);
}

/**
 * The error for an `ssh` that ended later.
 *
 * @param isSilent whether the server has answered nothing for too long, which `ssh` itself may say too
 */
export function lostError(isSilent: boolean, log: SshLog | undefined, { target }: Settings): PluginError {
  const last = log?.said.filter((line) => !UNTELLING.test(line)).at(-1);
  const silent = isSilent || /^Timeout, server .* not responding/.test(last ?? "");
  return new PluginError(
    "connection-lost",
    `The connection to ${describeTarget(target)} broke: ${silent ? "no answer to keepalives" : (last ?? "`ssh` has ended")}.`,
    {
      hint: silent
        ? "The network went silent, or the box is down. `serverAliveIntervalMs` and `serverAliveCountMax` set the patience."
        : "",
    },
  );
}

function hostKeyError(
  code: "host-key-revoked" | "host-key-changed" | "host-key-unknown",
  what: string,
  log: SshLog,
  { target }: Settings,
  cause: unknown,
): PluginError {
  const shown = log.hostKey === undefined ? "" : `: ${log.hostKey}`;
  return new PluginError(code, `${target.host} (port ${target.port}) ${what}${shown}.\n${saidBy(log)}`, {
    hint:
      code === "host-key-unknown"
        ? "Compare the fingerprint with what the box's owner says, then put the key into a known_hosts file."
        : "Ask the box's owner. Only if the key was changed on purpose, forget the old one with `ssh-keygen -R`.",
    cause,
  });
}

function unknownKey(log: SshLog, settings: Settings, cause: unknown): PluginError {
  const { hostKeyFingerprints } = settings.options;
  if (!hostKeyFingerprints) {
    return hostKeyError("host-key-unknown", "shows a host key that nothing vouches for", log, settings, cause);
  }
  const what = `shows a host key that is not pinned (\`hostKeyFingerprints\` expects ${hostKeyFingerprints.join(" or ")})`;
  return hostKeyError("host-key-changed", what, log, settings, cause);
}

function configError(log: SshLog, _settings: Settings, cause: unknown): PluginError {
  return new PluginError("config-error", `\`ssh\` cannot use its configuration.\n${saidBy(log)}`, {
    hint: CONFIG_HINT,
    cause,
  });
}

function authError(log: SshLog, { target }: Settings, cause: unknown): PluginError {
  const tried = log.tried.length > 0 ? log.tried.map((line) => `\n  - ${line}`).join("") : " nothing";
  const what = [
    `${target.host} did not let ${target.user} in.`,
    `Tried:${tried}`,
    `The server takes: ${log.allowed ?? "it did not say what"}.`,
    saidBy(log),
  ].join("\n");
  return new PluginError("auth-failed", what, { hint: AUTH_HINT, cause });
}

function negotiationError(log: SshLog, { target }: Settings, cause: unknown): PluginError {
  const what = `${describeTarget(target)} and \`ssh\` have no algorithms in common.\n${saidBy(log)}`;
  return new PluginError("connect-failed", what, { hint: "Update the older of the two.", cause });
}

/** A failure of the network or of the protocol, in the words that `ssh2` has for it. */
function otherError(log: SshLog, { target }: Settings, cause: unknown): PluginError {
  const last = (log.said.at(-1) ?? messageOf(cause)).replace(/\.$/, "");
  const isSshAtAll = !/invalid characters|Bad remote protocol|invalid format|No banner/i.test(log.text);
  const failure: VendorError = Object.assign(new Error(last), isSshAtAll ? { level: "protocol" } : {});
  const code = DIAL_CODES.find(([pattern]) => pattern.test(last))?.[1];
  if (log.phase === "dialling" && code !== undefined) failure.code = code;
  return connectionError(failure, log.phase === "ready" ? "authentication" : log.phase, target, log.greeting.trim());
}

/** What Node calls what `ssh` says of a failed dial. */
const DIAL_CODES: readonly (readonly [RegExp, string])[] = [
  [/Could not resolve hostname.*(Temporary failure|try again)/i, "EAI_AGAIN"],
  [/Could not resolve hostname/, "ENOTFOUND"],
  [/Connection refused/, "ECONNREFUSED"],
  [/timed out/, "ETIMEDOUT"],
  [/No route to host/, "EHOSTUNREACH"],
  [/Network is unreachable/, "ENETUNREACH"],
  [/Connection reset/, "ECONNRESET"],
];

function saidBy(log: SshLog): string {
  return log.said.length === 0
    ? "`ssh` said nothing."
    : `\`ssh\` said:\n${log.said.map((line) => `  ${line}`).join("\n")}`;
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : "`ssh` ended without a word";
}
