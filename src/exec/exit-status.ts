import { constants } from "node:os";
import type { ExitStatus } from "../contract/runner.ts";

/** A shell reports the death of its child by signal n as exit code 128 + n. */
const SIGNAL_BASE = 128;
/** By number; where a number has two names, as SIGABRT and SIGIOT have, the one that is listed first. */
const NAMES = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name]),
);

/**
 * What the supervisor's exit says of the plugin's. The supervisor passes a code on; a signal it can only report as a
 * shell does, so a code from 129 on that stands for a signal is taken as that signal.
 */
export function asPluginExit(status: ExitStatus): ExitStatus {
  const signal = status.code !== null ? NAMES.get(status.code - SIGNAL_BASE) : undefined;
  return signal ? { code: null, signal } : status;
}

/** `exit code 3` or `signal SIGKILL`, for messages. */
export function describeExit(status: ExitStatus): string {
  if (status.code !== null) return `exit code ${status.code}`;
  return status.signal !== null ? `signal ${status.signal}` : "an exit that nobody saw";
}
