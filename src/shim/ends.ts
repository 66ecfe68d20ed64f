import { PluginError } from "../contract/errors.ts";
import { watchHost } from "./watch-host.ts";

/** What ends a shim from this side. */
export interface Ends {
  /** Aborts with a `PluginError` that says why. */
  readonly signal: AbortSignal;
  /** The exit code that belongs to it. */
  readonly exitCode: () => number;
  /** To be told that nobody reads our output any more. */
  readonly hostGone: () => void;
}

/** How a process is counted that a signal has ended. */
const EXIT_CODES = { SIGTERM: 143, SIGHUP: 129 } as const;

/**
 * Listens for what ends a shim from outside. SIGINT does not: Ctrl-C reaches the whole process group, and what becomes of
 * the plugin is the host's to decide.
 *
 * @param stays whether the plugin outlives its host
 */
export function listenForEnds(stays: boolean): Ends {
  const over = new AbortController();
  let exitCode = 1;
  const end = (why: string, code: number) => {
    if (over.signal.aborted) return;
    exitCode = code;
    over.abort(new PluginError("aborted", why));
  };
  process.on("SIGINT", () => {});
  for (const name of ["SIGTERM", "SIGHUP"] as const) process.on(name, () => end(`Ended by ${name}.`, EXIT_CODES[name]));
  const hostGone = () => {
    if (!stays) end("The host is gone, so the plugin is of no use any more.", EXIT_CODES.SIGHUP);
  };
  watchHost(hostGone);
  return { signal: over.signal, exitCode: () => exitCode, hostGone };
}
