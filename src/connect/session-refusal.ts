import { PluginError } from "../contract/errors.ts";
import type { VendorError } from "./ssh2-errors.ts";

/**
 * Whether the server would not open one more session: it tells a reason then (RFC 4254 §5.1), and OpenSSH does so when
 * `MaxSessions` are there. A command that was refused on an open channel comes without a reason.
 */
export function isSessionRefused(failure: unknown): failure is PluginError {
  return (
    failure instanceof PluginError &&
    failure.code === "plugin-not-started" &&
    (failure.cause as VendorError | undefined)?.reason !== undefined
  );
}
