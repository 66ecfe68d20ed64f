import type { PluginProcess } from "../contract/runner.ts";
import type { StartReport } from "../exec/start-report.ts";
import type { Box } from "./box.ts";

/** The process of a plugin that was started on a box, as others may find it again. */
export function pluginProcess({ pid, startTime }: StartReport, { destination }: Box): PluginProcess {
  return { pid, startTime: startTime || undefined, ...(destination !== undefined && { destination }) };
}
