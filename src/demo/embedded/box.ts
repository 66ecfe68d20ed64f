import type { Connection } from "ssh2";
import type { Ledger } from "./ledger.ts";
import type { HangPhase, ResolvedOptions } from "./options.ts";

/** The machine that the embedded server plays. */
export interface Box {
  readonly options: ResolvedOptions;
  readonly ledger: Ledger;
  /** The port on which it listens. */
  readonly port: number;
  /** The phase in which it stops to answer, if any. */
  hangAt: HangPhase | undefined;
}

/** One client's stay on the box. */
export interface Visit {
  readonly box: Box;
  readonly connection: Connection;
  /** The client's port. */
  readonly clientPort: number;
  /** Aborts when the connection is gone. */
  readonly over: AbortSignal;
}

/** Calls `then` when the visit is over, at once if it is already, and gives back how to forget about it. */
export function whenOver({ over }: Visit, then: () => void): () => void {
  if (over.aborted) {
    then();
    return () => {};
  }
  over.addEventListener("abort", then, { once: true });
  return () => over.removeEventListener("abort", then);
}
