import { PluginError, type PluginErrorCode } from "../index.ts";
import { firstFailure } from "./failure-text.ts";

/** What the executable exits with: the codes of sysexits.h and of ssh and timeout, where they have one. */
const EXIT_CODES: Partial<Record<PluginErrorCode, number>> = {
  "bad-options": 2,
  "config-error": 78,
  "auth-failed": 77,
  "handshake-failed": 76,
  timeout: 124,
  aborted: 130,
  "connect-failed": 255,
  "box-refused": 255,
  "host-key-unknown": 255,
  "host-key-changed": 255,
  "host-key-revoked": 255,
  "connection-lost": 255,
};

/** The exit codes, for the help text. */
export const EXIT_CODES_HELP = `Exit codes:
  0    done
  1    failed in another way
  2    usage
  76   handshake with the plugin
  77   authentication
  78   configuration
  124  timeout
  130  interrupted
  255  SSH: connection or host key`;

/** The exit code for a failure; 1 for what has none of its own. */
export function exitCode(failure: unknown): number {
  const first = firstFailure(failure);
  return (first instanceof PluginError ? EXIT_CODES[first.code] : undefined) ?? 1;
}
