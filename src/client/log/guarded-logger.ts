import createDebug from "debug";
import { type Logger, nullLogger } from "./logger.ts";

const debug = createDebug("go-plugin-ssh:client");

/**
 * The same logger, but safe to use in the middle of anything: it never throws, whatever `logger` does, and a promise
 * that a `log` returns against its type does not end the process when it rejects. Asks `isEnabled` before each line.
 */
export function guardedLogger(logger: Logger): Logger {
  const isEnabled: Logger["isEnabled"] = (level) => attempt(() => Boolean(logger.isEnabled(level)), false);
  return {
    isEnabled,
    log(level, message, fields) {
      if (!isEnabled(level)) return;
      const result: unknown = attempt(() => logger.log(level, message, fields), undefined);
      if (result instanceof Promise) result.catch(told);
    },
    named: (name) => guardedLogger(attempt(() => logger.named(name), nullLogger)),
  };
}

function attempt<T>(task: () => T, otherwise: T): T {
  try {
    return task();
  } catch (failure) {
    told(failure);
    return otherwise;
  }
}

function told(failure: unknown): void {
  debug("the logger failed: %s", failure instanceof Error ? failure.message : typeof failure);
}
