import { PluginError } from "../index.ts";
import { firstFailure, isSuppressed } from "./failure-text.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** What ends a command early. */
export interface Interruption extends Disposable {
  /** Aborts with a {@link PluginError} `aborted`. */
  readonly signal: AbortSignal;
  /** The failure to report: the interruption in place of what only follows from it, otherwise `failure` itself. */
  instead(failure: unknown): unknown;
}

/**
 * From now on the first signal of the terminal, or the end of whoever reads our output, aborts, so that the command can
 * tidy up. A second signal ends the process at once, as it does by default.
 *
 * @param announce told at once what happened, because tidying up may take a while
 */
export function interruption(announce: (text: string) => void): Interruption {
  const interrupted = new AbortController();
  const undo: (() => void)[] = [];
  for (const name of SIGNALS) {
    const listener = () => {
      for (const release of undo) release();
      announce("interrupted; tidying up. Interrupt again to end at once.");
      interrupted.abort(new PluginError("aborted", `Interrupted by ${name}.`));
    };
    process.on(name, listener);
    undo.push(() => process.off(name, listener));
  }
  // This one stays: writes that are still under way would fail without a listener.
  process.stdout.on("error", () =>
    interrupted.abort(new PluginError("aborted", "Nobody reads the output any more, so it ended early.")),
  );
  return {
    signal: interrupted.signal,
    instead: (failure) => (interrupted.signal.aborted && followsFromIt(failure) ? interrupted.signal.reason : failure),
    [Symbol.dispose]: () => {
      for (const release of undo) release();
    },
  };
}

/** A call that was cancelled, or our own error; not what failed besides, or while tidying up. */
function followsFromIt(failure: unknown): boolean {
  const first = firstFailure(failure);
  return !isSuppressed(failure) && (!(first instanceof PluginError) || first.code === "aborted");
}
