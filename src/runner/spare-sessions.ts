import type { Connection, ExecChannel, SpareSessions } from "../contract/connection.ts";

const known = new WeakMap<Connection, OwnSpareSessions>();

/** Where commands can wait on a connection: where its pool keeps them, or what is kept here for one that is no pool's. */
export function spareSessionsOf(connection: Connection): SpareSessions {
  if (connection.spare) return connection.spare;
  const own = known.get(connection) ?? new OwnSpareSessions(connection);
  known.set(connection, own);
  return own;
}

/**
 * Has a session of a connection given back on which only a spare command is, because somebody needs one and the server
 * gives no more. Resolves with whether there was one. A pool does so by itself.
 */
export async function reclaimSession(connection: Connection): Promise<boolean> {
  return (await known.get(connection)?.reclaim()) ?? false;
}

class OwnSpareSessions implements SpareSessions {
  readonly key: Connection;
  readonly #waiting = new Map<ExecChannel, () => Promise<unknown>>();

  constructor(connection: Connection) {
    this.key = connection;
  }

  async exec(command: string, giveBack: () => Promise<unknown>, signal?: AbortSignal): Promise<ExecChannel> {
    const channel = await this.key.exec(command, signal);
    this.#waiting.set(channel, giveBack);
    channel.closed.then(() => this.#waiting.delete(channel));
    return channel;
  }

  claim(channel: ExecChannel): boolean {
    return this.#waiting.delete(channel);
  }

  async reclaim(): Promise<boolean> {
    const [first] = this.#waiting;
    if (!first) return false;
    const [channel, giveBack] = first;
    this.#waiting.delete(channel);
    await giveBack();
    return true;
  }
}
