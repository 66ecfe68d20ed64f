import { PluginError, type PluginErrorCode } from "../index.ts";

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

/** The exit code for a failure; 1 for what has none of its own. */
export function exitCode(failure: unknown): number {
  return (failure instanceof PluginError ? EXIT_CODES[failure.code] : undefined) ?? 1;
}
