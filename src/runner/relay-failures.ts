import { forbidden } from "../connect/ssh2-errors.ts";
import { type Address, formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";

const TOOLS_HINT = "Install perl, python3, socat or ncat on the box, and connections go through that.";
const OFFER = 'With `relay: "auto"` connections go through a program on the box instead.';

/** The error for a server that forbids and a box that has nothing to get around it. */
export function noTool(address: Address, cause: unknown): PluginError {
  const { hint } = forbidden("", address);
  const what = `The server forbids forwarding for ${formatAddress(address)}, and the box has nothing to relay with.`;
  return new PluginError("forward-forbidden", what, { cause, hint: `${hint} ${TOOLS_HINT}` });
}

/** The error for a tool that can connect but not listen. */
export function cannotListen(at: Address, tool: string, cause: unknown): PluginError {
  const what = `The server refuses to listen on ${formatAddress(at)}, and ${tool} on the box cannot do it instead.`;
  const hint = `${forbidden("", at).hint} Or install perl or python3 on the box.`;
  return new PluginError("forward-forbidden", what, { cause, hint });
}

/** Whether the server would not listen, for whatever reason: it never says which. */
export function isRefusedListen(failure: unknown): failure is PluginError {
  return failure instanceof PluginError && failure.code === "forward-forbidden";
}

/** A relay needs a session like any command; where the server gives no more, it says only that it failed. */
export function noSession(failure: unknown, what: string): unknown {
  if (!(failure instanceof PluginError) || failure.code !== "plugin-not-started") return failure;
  return new PluginError("forward-failed", `A relay ${what} got no session of its own on this connection.`, {
    cause: failure,
    hint:
      "Each connection through a relay takes one of the connection's sessions (MaxSessions in sshd_config, 10 by " +
      "default). Raise that, allow forwarding, or have fewer plugins on one connection.",
  });
}

/** The failure, with a word on what would help. */
export function withOffer(failure: unknown): unknown {
  if (!(failure instanceof PluginError)) return failure;
  const what = failure.message.slice(`[${failure.code}] `.length, failure.hint ? -failure.hint.length - 1 : undefined);
  return new PluginError(failure.code, what, { cause: failure.cause, hint: `${failure.hint} ${OFFER}`.trim() });
}

/** What a failure says. */
export function messageOf(failure: unknown): string {
  return failure instanceof Error ? failure.message : String(failure);
}
