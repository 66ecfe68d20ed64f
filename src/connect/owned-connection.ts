import type { Connection } from "../contract/connection.ts";

/** A connection whose owner also says whether it keeps the process alive, and how the box is found again. */
export interface OwnedConnection extends Connection {
  destination?: string | undefined;
  /** Keeps the process alive for this connection, or lets the process end although it is open. */
  hold(keepAlive: boolean): void;
}
