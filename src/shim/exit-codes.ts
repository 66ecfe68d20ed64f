import { constants } from "node:os";
import type { ExitStatus, PluginErrorCode } from "../index.ts";

/** What the executable exits with: the codes of sysexits.h and of ssh and timeout, where they have one. */
export const EXIT_CODES: Partial<Record<PluginErrorCode, number>> = {
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

/** A plugin's end as an exit code, as a shell has it: 128 and the number of the signal. 1 where nobody can know. */
export function exitCodeOf({ code, signal }: ExitStatus): number {
  if (signal === null) return code ?? 1;
  const number = constants.signals[`SIG${signal.replace(/^SIG/, "")}` as NodeJS.Signals];
  return number === undefined ? 1 : 128 + number;
}
