import { Option } from "commander";
import { LOG_LEVELS } from "../client/log/logger.ts";

/** `--log-level`, for commands that show a plugin's log. */
export function logLevelOption(): Option {
  return new Option("--log-level <level>", "the least urgent line of the plugin's log to show")
    .choices(LOG_LEVELS)
    .default("debug");
}
