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

/** How far which connection has come: on the way through jump hosts there are several. */
export interface Step {
  readonly phase: Phase;
  readonly target: Target;
}

const TIMEOUT_HINT =
  "A firewall may drop the packets silently, or the server is overloaded; `connectTimeoutMs` sets the limit.";
const MAX_STARTUPS =
  "Too many connections may be starting at once (MaxStartups in sshd_config), or this address is being " +
  "penalised for failed logins (PerSourcePenalties, OpenSSH 9.8 and later; more tries make it longer). Wait, then try again.";

/** What a failed dial means, by errno. */
const DIAL_HINTS: Record<string, string> = {
  ENOTFOUND: "The name is unknown: check its spelling, and that the OpenSSH configuration which is read has the alias.",
  EAI_AGAIN: "The name could not be looked up just now: check the network and the name server.",
  ECONNREFUSED: "Nothing listens there: check the port, and that sshd runs.",
  EHOSTUNREACH: "There is no route to it: check the network, a VPN for example.",
  ENETUNREACH: "There is no route to it: check the network, a VPN for example.",
  ETIMEDOUT: TIMEOUT_HINT,
};

/**
 * Turns a failure of ssh2's client, before or after it was ready, into one of ours.
 *
 * @param greeting what the server said instead of its banner, if it said anything
 */
export function connectionError(failure: VendorError, phase: Phase, target: Target, greeting = ""): PluginError {
  if (phase === "ready") return lostError(failure, target);
  // A reset is no refusal: somebody had taken the connection before.
  if (phase === "banner" || (phase === "dialling" && failure.code === "ECONNRESET")) {
    return greetingError(failure, target, greeting);
  }
  const name = describeTarget(target);
  const said = messageOf(failure);
  if (phase === "dialling") {
    return new PluginError("connect-failed", `${name} cannot be reached: ${said}.`, {
      cause: failure,
      hint: DIAL_HINTS[String(failure.code)],
    });
  }
  return new PluginError("connect-failed", `The connection to ${name} ended during ${phase}: ${said}.`, {
    cause: failure,
    hint: /no matching/i.test(failure.message)
      ? "The server offers only algorithms that ssh2 does not have; update the server or its configuration."
      : "",
  });
}

function lostError(failure: VendorError, target: Target): PluginError {
  const silent = failure.level === "client-timeout";
  const why = silent ? "no answer to keepalives" : messageOf(failure);
  return new PluginError("connection-lost", `The connection to ${describeTarget(target)} broke: ${why}.`, {
    cause: failure,
    hint: silent
      ? "The network went silent, or the box is down. `serverAliveIntervalMs` and `serverAliveCountMax` set the patience."
      : "",
  });
}

/** A server that ended the connection before SSH began; ssh2 gives up by itself on what cannot be SSH. */
function greetingError(failure: VendorError, target: Target, greeting: string): PluginError {
  const name = describeTarget(target);
  const hungUp = failure.level !== undefined || failure.code !== undefined;
  const words = greeting === "" ? "" : ` It said ${JSON.stringify(greeting)}.`;
  if (!hungUp) {
    const what = `${name} does not speak SSH: ${messageOf(failure)}.${words}`;
    return new PluginError("connect-failed", what, { cause: failure, hint: "Check the port." });
  }
  return new PluginError(
    "box-refused",
    `${name} dropped the connection before it began: ${messageOf(failure)}.${words}`,
    {
      cause: failure,
      hint: greeting === "" ? MAX_STARTUPS : `If this is no SSH server, check the port. ${MAX_STARTUPS}`,
    },
  );
}

/** What a failure says. Node leaves the text of an attempt at several addresses empty and tells it of each one. */
function messageOf(failure: VendorError): string {
  const { errors = [] } = failure as { errors?: readonly Error[] };
  return harmless(failure.message || errors.map(({ message }) => message).join("; ") || String(failure.code));
}

/**
 * The error for a connection that did not become ready in time.
 *
 * @param last how far it came, or a jump host on the way to it
 */
export function connectTimeout(timeoutMs: number, last: Step, target: Target): PluginError {
  const [name, stuck] = [describeTarget(target), describeTarget(last.target)];
  const way = name === stuck ? "" : ` The jump host ${stuck} on the way to it did not get past ${last.phase}.`;
  const what = way === "" ? `get past ${last.phase}` : "become ready";
  return new PluginError("connect-failed", `${name} did not ${what} within ${timeoutMs} ms.${way}`, {
    hint: TIMEOUT_HINT,
  });
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
const LACKING = "Small servers lack some kinds of forward.";

/** The error for a connection that the server would not make on the box. */
export function streamError(failure: VendorError, to: Address): PluginError {
  const where = formatAddress(to);
  const cause = failure;
  if (failure.reason === PROHIBITED) return forbidden(`The server forbids connections to ${where}`, to, cause);
  if (failure.reason === UNKNOWN_TYPE) {
    const what = to.network === "unix" ? "unix sockets" : "TCP ports";
    return new PluginError("unsupported", `The server does not know how to connect to ${what}.`, {
      cause,
      hint: `${LACKING} ${to.network === "unix" ? "TCP" : "A unix socket"} may work, or OpenSSH's server.`,
    });
  }
  return new PluginError("forward-failed", `The box could not connect to ${where}: ${harmless(failure.message)}.`, {
    cause,
    hint:
      to.network === "unix"
        ? "The plugin may have ended, or it does not listen there. OpenSSH says the same where forwarding is forbidden."
        : "The plugin may have ended, or it does not listen there.",
  });
}

/** The error for a listener that the server would not make on the box. It never says why (RFC 4254 §7.1). */
export function listenError(failure: VendorError, at: Address): PluginError {
  const where = formatAddress(at);
  if (at.network === "tcp") {
    return forbidden(`The server refused to listen on ${where}, or the port is taken`, at, failure);
  }
  const what = `The server refused to listen on ${where}, or the path is taken or its directory is not there`;
  return forbidden(what, at, failure, `${LACKING} TCP may work, or OpenSSH's server. `);
}

/**
 * The error for a forward that sshd's configuration rules out, naming the option.
 *
 * @param first what to do before looking there
 */
export function forbidden(what: string, address: Address, cause?: unknown, first = ""): PluginError {
  const options =
    address.network === "unix"
      ? "AllowStreamLocalForwarding, AllowTcpForwarding and PermitOpen (which OpenSSH heeds for unix sockets too) and " +
        "DisableForwarding"
      : "AllowTcpForwarding, PermitOpen, PermitListen and DisableForwarding";
  return new PluginError("forward-forbidden", `${what}.`, {
    cause,
    hint: `${first}Look at ${options} in sshd_config, and at \`restrict\` and \`no-port-forwarding\` in authorized_keys.`,
  });
}
