import createDebug from "debug";
import { logText } from "./log-text.ts";
import type { Logger } from "./logger.ts";

/**
 * Writes log lines of every level with the package `debug`, so to stderr, if the variable `DEBUG` names `namespace`.
 * Loggers made with `named` have namespaces of their own: `namespace:name`.
 */
export function debugLogger(namespace: string): Logger {
  const debug = createDebug(namespace);
  return {
    isEnabled: () => debug.enabled,
    log: (level, message, fields) => debug("%s", logText(level, "", message, fields)),
    named: (name) => debugLogger(`${namespace}:${name}`),
  };
}
