import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import PQueue from "p-queue";
import type { Address } from "../../contract/address.ts";
import type { ExecChannel } from "../../contract/connection.ts";
import type { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";
import type { OwnedConnection } from "../owned-connection.ts";
import { isSessionRefused } from "../session-refusal.ts";
import { type AskedSession, SessionCount } from "./session-count.ts";

/** As many as OpenSSH lets one connection have, so that its limit shows in one round trip. */
const SESSIONS_AT_ONCE = 10;
/** Many, because a connection on the box may take long to come about, and those behind it have to wait. */
const STREAMS_AT_ONCE = 64;
/**
 * As many go through a master of the user's, who has sessions of their own there. A refusal has a price: OpenSSH never
 * forgets the channel, and a process has to stay behind for the master to survive us.
 */
const JOINED_SESSIONS = 5;
/** A limit that is lower than what was there before may be due to a process that has outlived its channel. */
const LOW_LIMIT_HOLDS_MS = 10_000;

/** A place for one session that nobody else gets. It is used by `exec`, or given back. */
export interface Seat {
  readonly link: Link;
  /** It becomes a session. */
  take(): void;
  /** Gives it back, if it was not used. May be called often. */
  release(): void;
}

/** A session that was granted, or that there is no room: with the server's words if it was asked. */
export type Granted =
  | { channel: ExecChannel; end: () => void; refusal?: never }
  | { channel?: never; refusal: PluginError | undefined };

/** Who uses a link. */
export interface LinkUser {
  /** The link is lost, for this reason. */
  onLost(link: Link, reason: PluginError): void;
}

/** What a link tells its owner. */
export interface LinkEvents {
  /** There may be room for a session that was not there before. */
  onRoom(): void;
  /** Nobody uses it any more; or `false`: somebody does again. */
  onIdle(isIdle: boolean): void;
}

/**
 * One connection of a pool, with the sessions on it. How many it can have is learnt from the server's refusal. A session
 * that has ended makes room; whether the server sees it so too, the next refusal tells.
 */
export class Link {
  readonly connection: OwnedConnection;
  readonly #events: LinkEvents;
  readonly #sessionQueue = new PQueue({ concurrency: SESSIONS_AT_ONCE });
  readonly #streamQueue = new PQueue({ concurrency: STREAMS_AT_ONCE });
  readonly #users = new Map<LinkUser, number>();
  readonly #count = new SessionCount();
  #seats = 0;
  #limit: number;
  #most = 0;
  #learntAt = 0;

  /** @param expected how many sessions other connections to the same server can have, as far as that was learnt */
  constructor(connection: OwnedConnection, events: LinkEvents, expected = Number.POSITIVE_INFINITY) {
    this.connection = connection;
    this.#events = events;
    this.#limit = connection.isJoined ? Math.min(expected, JOINED_SESSIONS) : expected;
    setMaxListeners(0, connection.lost);
    const tell = () => {
      for (const user of [...this.#users.keys()]) user.onLost(this, connection.lost.reason);
    };
    connection.lost.addEventListener("abort", tell, { once: true });
  }

  /** Sessions that are open or being opened. */
  get sessions(): number {
    return this.#count.size;
  }

  /** How many it can have at a time; infinite before that was learnt. */
  get limit(): number {
    return this.#limit;
  }

  get isLost(): boolean {
    return this.connection.lost.aborted;
  }

  /**
   * The most it has ever had, as far as known: what another connection to the same server can be expected to take.
   * Infinite if that is not known, also where somebody else has sessions on it.
   */
  get capacity(): number {
    return this.connection.isJoined ? Number.POSITIVE_INFINITY : Math.max(this.#limit, this.#most);
  }

  /** Whether the server has never opened a session on it, and refused to, although nobody else has one there. */
  get grantsNothing(): boolean {
    return this.#most === 0 && this.#limit === 0 && !this.connection.isJoined;
  }

  /** How many use it. */
  get users(): number {
    return this.#users.size;
  }

  /** A place for a session, or `undefined` when it is full. */
  reserve(): Seat | undefined {
    const hasRoom = this.sessions + this.#seats < this.#limit || (this.#seats === 0 && this.#mayHaveMore);
    if (!hasRoom) return undefined;
    this.#seats += 1;
    let held = true;
    const take = () => {
      if (held) this.#seats -= 1;
      held = false;
    };
    const release = () => {
      if (!held) return;
      take();
      this.#events.onRoom();
    };
    return { link: this, take, release };
  }

  /** Notes that somebody uses it, once more. It is idle when nobody does. */
  use(user: LinkUser): void {
    if (this.#users.size === 0) this.#events.onIdle(false);
    this.#users.set(user, (this.#users.get(user) ?? 0) + 1);
  }

  /** Undoes one `use`. */
  unuse(user: LinkUser): void {
    const left = (this.#users.get(user) ?? 1) - 1;
    if (left > 0) return void this.#users.set(user, left);
    if (this.#users.delete(user) && this.#users.size === 0) this.#events.onIdle(true);
  }

  /** Starts a command on a reserved place. Those with more `priority` are asked for first. */
  exec(
    command: string,
    seat: Seat,
    { signal, priority }: { signal?: AbortSignal | undefined; priority: number },
  ): Promise<Granted> {
    const ask = (over: AbortSignal) => this.#sessionQueue.add(() => this.#ask(command, seat, over), { priority });
    return within({ signal, until: [this.connection.lost] }, ask, ({ channel }) => channel && discard(channel)).finally(
      () => seat.release(),
    );
  }

  /** As `openStream` of the connection, only so many at a time. */
  openStream(to: Address, signal: AbortSignal | undefined): Promise<Duplex> {
    const open = (over: AbortSignal) =>
      this.#streamQueue.add(() => {
        throwIfAborted(over);
        return this.connection.openStream(to, over);
      });
    return within({ signal, until: [this.connection.lost] }, open, (late) => late.on("error", () => {}).destroy());
  }

  /** Asking once more costs one refusal, and finds the room that a process has left meanwhile. */
  get #mayHaveMore(): boolean {
    const isLow = this.#limit < this.#most && this.sessions < this.#most;
    return isLow && performance.now() - this.#learntAt > LOW_LIMIT_HOLDS_MS;
  }

  async #ask(command: string, seat: Seat, over: AbortSignal): Promise<Granted> {
    throwIfAborted(over);
    // The place may be there no more: others were refused since it was reserved.
    if (this.sessions >= this.#limit && !this.#mayHaveMore) return { refusal: undefined };
    seat.take();
    const session = this.#count.ask();
    try {
      const channel = await this.connection.exec(command, over);
      session.granted();
      const { granted } = this.#count;
      this.#most = Math.max(this.#most, granted);
      this.#limit = Math.max(this.#limit, granted);
      return { channel, end: this.#endOf(channel, session) };
    } catch (failure) {
      if (!isSessionRefused(failure)) {
        session.end();
        throw failure;
      }
      this.#limit = Math.min(this.#limit, session.refused());
      this.#learntAt = performance.now();
      return { refusal: failure };
    } finally {
      this.#events.onRoom();
    }
  }

  /** Notes the end of a session, once; it comes by itself when the channel is over. */
  #endOf(channel: ExecChannel, session: AskedSession): () => void {
    const end = () => {
      if (session.end()) this.#events.onRoom();
    };
    channel.closed.then(end);
    return end;
  }
}

/** Lets go of a session that nobody waits for any more. A channel that is not read would never be over. */
export function discard(channel: ExecChannel): void {
  channel.stdin.on("error", () => {});
  for (const output of [channel.stdout, channel.stderr]) output.on("error", () => {}).resume();
  channel.close();
}
