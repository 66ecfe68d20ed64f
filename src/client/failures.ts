import { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";

/** The reason that ends every call of a plugin that has ended. */
export function pluginExited({ code, signal }: ExitStatus, cause?: unknown): PluginError {
  const how = code !== null ? ` with exit code ${code}` : signal !== null ? ` with signal ${signal}` : "";
  return new PluginError("plugin-exited", `The plugin has ended${how}.`, { cause });
}

/** go-plugin's words for a passed `StartTimeout`. */
export function tooSlow(): PluginError {
  return new PluginError("timeout", "timeout while waiting for plugin to start");
}

/** The reason that ends every call of a plugin that was killed. */
export function pluginKilled(): PluginError {
  return new PluginError("closed", "The plugin was killed.");
}

/** For what needs a running plugin. */
export function notStarted(): PluginError {
  return new PluginError("closed", "The plugin is not running.", { hint: "Call `start` first." });
}

/** Any failure as one of ours. */
export function asPluginError(failure: unknown): PluginError {
  if (failure instanceof PluginError) return failure;
  const what = failure instanceof Error ? failure.message : String(failure);
  return new PluginError("plugin-not-started", `The plugin could not be started: ${what}`, { cause: failure });
}
