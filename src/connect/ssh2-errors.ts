import type { Address } from "../contract/address.ts";
import { formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { harmless } from "../lifetime/tail.ts";
import { describeTarget, type Target } from "./destination.ts";

/** What ssh2 and Node put on their errors. */
export interface VendorError extends Error {
  level?: string;
  code?: string | number;
  reason?: string | number;
}

/** How far a connection has come: ssh2 calls different failures by one name, and the phase tells them apart. */
export type Phase = "dialling" | "banner" | "key exchange" | "authentication" | "ready";

const TIMEOUT_HINT =
  "A firewall may drop the packets silently, or the server is overloaded; `connectTimeoutMs` sets the limit.";
const MAX_STARTUPS =
  "Too many connections may be starting at once (MaxStartups in sshd_config), or this address is being " +
  "penalised for failed logins (PerSourcePenalties, OpenSSH 9.8 and later; more tries make it longer). Wait, then try again.";

/** What a failed dial means, by errno. */
const DIAL_HINTS: Record<string, string> = {
  ENOTFOUND: "The name is unknown: check its spelling. Aliases of ~/.ssh/config are not read.",
  EAI_AGAIN: "The name could not be looked up just now: check the network and the name server.",
  ECONNREFUSED: "Nothing listens there: check the port, and that sshd runs.",
  EHOSTUNREACH: "There is no route to it: check the network, a VPN for example.",
  ENETUNREACH: "There is no route to it: check the network, a VPN for example.",
  ETIMEDOUT: TIMEOUT_HINT,
};

/** Turns a failure of ssh2's client, before or after it was ready, into one of ours. */
export function connectionError(failure: VendorError, phase: Phase, target: Target): PluginError {
  const name = describeTarget(target);
  const cause = failure;
  const said = harmless(failure.message);
  if (phase === "ready") {
    const silent = failure.level === "client-timeout";
    return new PluginError(
      "connection-lost",
      `The connection to ${name} broke: ${silent ? "no answer to keepalives" : said}.`,
      {
        cause,
        hint: silent
          ? "The network went silent, or the box is down. `serverAliveIntervalMs` and `serverAliveCountMax` set the patience."
          : "",
      },
    );
  }
  if (phase === "dialling") {
    return new PluginError("connect-failed", `${name} cannot be reached: ${said}.`, {
      cause,
      hint: DIAL_HINTS[String(failure.code)],
    });
  }
  if (phase === "banner") {
    return new PluginError("box-refused", `${name} dropped the connection before it began: ${said}.`, {
      cause,
      hint: MAX_STARTUPS,
    });
  }
  if (phase === "authentication" && typeof failure.code === "number") {
    return new PluginError("auth-failed", `${name} ended the authentication: ${said}.`, {
      cause,
      hint: "With many keys in the agent, name the right one in `identityFile`: it is offered first.",
    });
  }
  const algorithms = /no matching/i.test(failure.message);
  return new PluginError("connect-failed", `${name} and we could not agree during ${phase}: ${said}.`, {
    cause,
    hint: algorithms
      ? "The server offers only algorithms that ssh2 does not have; update the server or its configuration."
      : "",
  });
}

/** The error for a connection that did not become ready in time. */
export function connectTimeout(timeoutMs: number, phase: Phase, target: Target): PluginError {
  return new PluginError(
    "connect-failed",
    `${describeTarget(target)} did not get past ${phase} within ${timeoutMs} ms.`,
    {
      hint: TIMEOUT_HINT,
    },
  );
}

/** The error for a command that the server would not start. */
export function execError(failure: VendorError, target: Target): PluginError {
  const full = failure.reason !== undefined;
  return new PluginError(
    "plugin-not-started",
    `${describeTarget(target)} refused to run a command: ${harmless(failure.message)}.`,
    {
      cause: failure,
      hint: full
        ? "The connection's sessions may be used up (MaxSessions in sshd_config); a session counts until its process has ended."
        : "The account may be limited to sftp or to a shell.",
    },
  );
}

/** RFC 4254 §5.1: why a server would not open a channel. */
const PROHIBITED = 1;
const UNKNOWN_TYPE = 3;

/** The error for a connection that the server would not make on the box. */
export function streamError(failure: VendorError, to: Address): PluginError {
  const where = formatAddress(to);
  const cause = failure;
  if (failure.reason === PROHIBITED) return forbidden(`The server forbids connections to ${where}`, to, cause);
  if (failure.reason === UNKNOWN_TYPE) {
    return new PluginError("unsupported", `The server does not know how to connect to ${to.network} addresses.`, {
      cause,
    });
  }
  return new PluginError("forward-failed", `The box could not connect to ${where}: ${harmless(failure.message)}.`, {
    cause,
    hint: "The plugin may have ended, or it does not listen there.",
  });
}

/** The error for a listener that the server would not make on the box. */
export function listenError(failure: VendorError, at: Address): PluginError {
  return forbidden(`The server refused to listen on ${formatAddress(at)}`, at, failure);
}

/** The error for a forward that sshd's configuration rules out, naming the option. */
export function forbidden(what: string, address: Address, cause?: unknown): PluginError {
  const options =
    address.network === "unix"
      ? "AllowStreamLocalForwarding, AllowTcpForwarding (which OpenSSH heeds for unix sockets too) and DisableForwarding"
      : "AllowTcpForwarding, PermitOpen, PermitListen and DisableForwarding";
  return new PluginError("forward-forbidden", `${what}.`, {
    cause,
    hint: `Look at ${options} in sshd_config, and at \`restrict\` and \`no-port-forwarding\` in authorized_keys.`,
  });
}
