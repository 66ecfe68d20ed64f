/** One connection of a pool, now. */
export interface ConnectionStats {
  /** How many commands run on it, or are being started. */
  readonly sessions: number;
  /** How many it can have at a time; `null` as long as the server has not refused one. */
  readonly sessionLimit: number | null;
  /** How many leases have something on it. */
  readonly leases: number;
}

/** The connections to one box under one identity, now, and what has happened since the first of them. */
export interface BoxStats {
  /** `user@host:port`, as resolved. Different ways to one box, or rules for it, have an entry each. */
  readonly destination: string;
  readonly connections: readonly ConnectionStats[];
  /** How many wait for a session. */
  readonly waiting: number;
  /** Logins at the server that our TCP connections reach; boxes behind one jump host share these figures. */
  readonly handshakes: {
    readonly underWay: number;
    /** How many wait for their turn. */
    readonly waiting: number;
    /** How many may be under way at a time. It goes down when the server drops some. */
    readonly atOnce: number;
  };
  readonly totals: {
    /** Connections that were made. */
    readonly opened: number;
    /** Connections that broke. */
    readonly lost: number;
    /** Sessions that the server refused, each of which went to another connection. */
    readonly refused: number;
    /** Connections that the server dropped before its banner. */
    readonly dropped: number;
    /** How often such a one was tried again. */
    readonly retried: number;
  };
}

/** What a pool has and does; plain data, ready for JSON. */
export interface PoolStats {
  readonly connections: number;
  readonly sessions: number;
  readonly waiting: number;
  readonly boxes: readonly BoxStats[];
}

/** The same for people, a line for each box. */
export function poolStatsText({ boxes }: PoolStats): string {
  if (boxes.length === 0) return "no connections";
  return boxes.map(boxText).join("\n");
}

function boxText({ destination, connections, waiting, handshakes, totals }: BoxStats): string {
  const sessions = connections.map(({ sessions, sessionLimit }) => `${sessions}/${sessionLimit ?? "?"}`);
  const { underWay, waiting: queued, atOnce } = handshakes;
  const { opened, lost, refused, dropped, retried } = totals;
  return [
    `${destination}: ${connections.length} ${connections.length === 1 ? "connection" : "connections"}`,
    `sessions ${sessions.join(" ") || "none"}`,
    `${waiting} waiting`,
    `handshakes ${underWay} of ${atOnce}, ${queued} waiting`,
    `so far ${opened} opened, ${lost} lost, ${refused} sessions refused, ${dropped} dropped, ${retried} retried`,
  ].join("; ");
}
