import { PluginError } from "../../contract/errors.ts";
import { GO_AWAY } from "./frame.ts";

/** The other side did what yamux forbids. @param what what it sent, without a full stop */
export function protocolBroken(what: string): PluginError {
  return new PluginError("connection-lost", `The other side of a multiplexed connection broke its rules: ${what}.`, {
    hint: "Does it speak yamux, and does nothing else write to the same connection?",
  });
}

/** The connection below ended. @param how what is known of it, as the rest of a sentence */
export function carrierLost(how: string, cause?: unknown): PluginError {
  return new PluginError("connection-lost", `The multiplexed connection to the other side was lost: ${how}.`, {
    cause,
  });
}

/** The other side ended the session because something went wrong there. @param code what it gave as the reason */
export function sentAway(code: number): PluginError {
  const reasons: Record<number, string> = {
    [GO_AWAY.protocolError]: "a protocol error",
    [GO_AWAY.internalError]: "an internal error",
  };
  const reason = reasons[code] ?? `a reason that yamux does not know (${code})`;
  return new PluginError("connection-lost", `The other side ended the multiplexed connection because of ${reason}.`, {
    hint: "The plugin's log may say more.",
  });
}

/** The other side takes no new streams, or has ended the session after saying so. */
export function wentAway(): PluginError {
  return new PluginError("closed", "The other side of the multiplexed connection takes no new streams: it is ending.");
}

/** The session was closed on our side. */
export function sessionClosed(): PluginError {
  return new PluginError("closed", "The multiplexed connection was closed.");
}

/** All stream ids of our side were used. */
export function idsExhausted(): PluginError {
  return new PluginError("closed", "The multiplexed connection has used up its 2,147,483,647 streams.", {
    hint: "Make a new connection.",
  });
}

/** The other side reset a stream. */
export function streamReset(): PluginError {
  return new PluginError("connection-lost", "The other side reset the stream.");
}

/** A stream was destroyed while a write was under way. */
export function streamDestroyed(): PluginError {
  return new PluginError("closed", "The stream was closed before everything was written.");
}

/** Nobody accepted a stream. */
export function notAccepted(timeoutMs: number): PluginError {
  return new PluginError("timeout", `The other side did not accept a stream within ${timeoutMs} ms.`);
}

/** The other side never ended its half of a stream. */
export function notEnded(timeoutMs: number): PluginError {
  return new PluginError("timeout", `We ended a stream, and nothing came on it for ${timeoutMs} ms, not even its end.`);
}
