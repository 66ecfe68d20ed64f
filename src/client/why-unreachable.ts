import { PluginError } from "../contract/errors.ts";
import type { AttachedRunner } from "../contract/runner.ts";
import { NEWS_MS } from "../dial/explain-loss.ts";
import { within } from "../lifetime/deadline.ts";
import { pluginExited } from "./failures.ts";

/**
 * Why a plugin that has said where it listens could not be connected to: because it has ended, or its box was lost, if
 * that is known soon; otherwise `failure`.
 */
export async function whyUnreachable(failure: unknown, runner: AttachedRunner, signal: AbortSignal): Promise<unknown> {
  if (!(failure instanceof PluginError && isBreak(failure))) return failure;
  return within({ signal, timeoutMs: NEWS_MS, onTimeout: () => hungUp(failure) }, (over) => runner.wait(over)).then(
    (exit) => pluginExited(exit, failure),
    (reason) => reason,
  );
}

/** Whether the connection failed, or broke, so that the plugin may be gone. */
function isBreak({ code, cause }: PluginError): boolean {
  if (code === "connection-lost" || code === "forward-failed") return true;
  // In the middle of TLS. Everything else that TLS fails with is the word of somebody who lives.
  const why = cause instanceof Error && "code" in cause ? cause.code : undefined;
  return code === "handshake-failed" && ["connection-lost", "ECONNRESET", "EPIPE"].includes(String(why));
}

/** A plugin that lives and ends the connection does not understand what comes. */
function hungUp(failure: PluginError): PluginError {
  if (failure.code !== "connection-lost") return failure;
  return new PluginError("handshake-failed", "The plugin closed the connection before the first call.", {
    cause: failure,
    hint: "If it serves TLS with certificates of its own, give `tls`.",
  });
}
