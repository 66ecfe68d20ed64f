import type { Connection } from "../contract/connection.ts";

/** A connection whose owner also says whether it keeps the process alive, and how the box is found again. */
export interface OwnedConnection extends Connection {
  destination?: string | undefined;
  /** Whether it goes through a connection of somebody else's, who has sessions on it too. @default false */
  readonly isJoined?: boolean;
  /** Keeps the process alive for this connection, or lets the process end although it is open. */
  hold(keepAlive: boolean): void;
}
