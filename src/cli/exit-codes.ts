import { PluginError } from "../index.ts";
import { EXIT_CODES } from "../shim/exit-codes.ts";
import { firstFailure } from "./failure-text.ts";

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
  255  SSH: connection or host key

A shim exits with the plugin's own code, once the plugin has run.`;

/** The exit code for a failure; 1 for what has none of its own. */
export function exitCode(failure: unknown): number {
  const first = firstFailure(failure);
  return (first instanceof PluginError ? EXIT_CODES[first.code] : undefined) ?? 1;
}
