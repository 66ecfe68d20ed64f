import createDebug from "debug";
import type { ExecChannel } from "../../contract/connection.ts";
import type { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";
import { SharedAttempt } from "../../lifetime/shared-attempt.ts";
import type { OwnedConnection } from "../owned-connection.ts";
import { LeasedConnection, type SessionSource } from "./leased-connection.ts";
import { Link, type Seat } from "./link.ts";
import { Waiters } from "./waiters.ts";

const debug = createDebug("go-plugin-ssh:pool");

/** Who starts something waits; who looks after what runs, or ends it, goes first. */
const START = 0;
const RUNNING = 1;

/** What a {@link BoxPool} needs to know. */
export interface BoxPoolOptions {
  /** For messages. */
  name: string;
  idleTimeoutMs: number;
  /** Makes a connection. */
  connect(signal: AbortSignal, how: Making): Promise<OwnedConnection>;
}

/** How a connection is made. */
export interface Making {
  /** Of those who wait for their turn, who has more goes first. */
  priority: number;
  /** Whether it must not go through the user's own, because there is one already, and it is full. */
  isApart: boolean;
}

/** What has happened since the beginning. */
export interface BoxTotals {
  opened: number;
  lost: number;
  sessionsRefused: number;
}

/** A connection that is being made, and how many wait for it. */
interface Opening {
  readonly attempt: SharedAttempt<Link>;
  joined: number;
}

/**
 * The connections to one box under one identity. There is one, until the server refuses a session on it: then there are
 * as many as the sessions need.
 */
export class BoxPool implements SessionSource {
  readonly totals: BoxTotals = { opened: 0, lost: 0, sessionsRefused: 0 };
  readonly #options: BoxPoolOptions;
  readonly #links = new Set<Link>();
  readonly #openings = new Set<Opening>();
  readonly #waiters = new Waiters();
  readonly #timers = new Map<Link, ReturnType<typeof setTimeout>>();
  #isClosed = false;

  constructor(options: BoxPoolOptions) {
    this.#options = options;
  }

  /** The open connections. */
  get links(): readonly Link[] {
    return [...this.#links];
  }

  /** How many wait for a session. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Whether there is no connection and nobody who waits for one. */
  get isUnused(): boolean {
    return this.#links.size + this.#openings.size + this.#waiters.size === 0;
  }

  /**
   * A share in a connection that is there, or in one that is made now.
   *
   * @param destination where to find the box again, by the name that this one has for it
   */
  async lease(destination: string, signal?: AbortSignal): Promise<LeasedConnection> {
    throwIfAborted(signal);
    const link = this.#best() ?? (await this.#join(this.#openingFor(START), signal));
    if (link.isLost) throw link.connection.lost.reason;
    return new LeasedConnection(this, link, destination);
  }

  /** Starts a command where there is room for it: at the lease's home, on another connection, on a new one. */
  async exec(lease: LeasedConnection, command: string, signal: AbortSignal): Promise<ExecChannel> {
    const priority = lease.isSettled ? RUNNING : START;
    for (;;) {
      const seat = await this.#seat(lease.home, priority, signal);
      const granted = await seat.link.exec(command, seat, { signal, priority });
      if (granted.channel) {
        lease.take(seat.link, granted.channel, granted.end);
        return granted.channel;
      }
      if (granted.refusal) this.#onRefusal(seat.link, granted.refusal);
    }
  }

  /** Closes every connection. Those that are being made end by themselves, when `connect` throws. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.links.map(({ connection }) => connection.close()));
  }

  /** The connection for one more lease: one that has room if there is any, or that the fewest use. */
  #best(): Link | undefined {
    const byUse = [...this.#links].sort((one, other) => one.users - other.users);
    return this.links.find(({ sessions, limit }) => sessions < limit) ?? byUse[0];
  }

  /** A place for a session, at once or when there is one. */
  async #seat(home: Link, priority: number, signal: AbortSignal): Promise<Seat> {
    for (;;) {
      throwIfAborted(signal);
      const seat = this.#waiters.hasBefore(priority) ? undefined : this.#reserve(home);
      const found = seat ?? (await this.#waitForSeat(priority, signal));
      if (found) return found;
    }
  }

  #reserve(home?: Link): Seat | undefined {
    for (const link of new Set([...(home ? [home] : []), ...this.#links])) {
      const seat = link.isLost ? undefined : link.reserve();
      if (seat) return seat;
    }
    return undefined;
  }

  /** Waits for a place, and sees to it that a connection is made that has one. `undefined`: try again. */
  async #waitForSeat(priority: number, signal: AbortSignal): Promise<Seat | undefined> {
    const waiter = this.#waiters.add(priority);
    let seat: Seat | undefined;
    try {
      const made = this.#join(this.#openingFor(priority), waiter.left).then(() => undefined);
      seat = await within({ signal }, () => Promise.race([waiter.seat, made]));
      return seat;
    } finally {
      this.#waiters.leave(waiter, seat);
    }
  }

  /** Gives what room there is to those who wait. */
  #serve(): void {
    while (this.#waiters.size > 0) {
      const seat = this.#reserve();
      if (!seat) return;
      this.#waiters.give(seat);
    }
  }

  /** A connection that opens no session at all will not do so for others. */
  #onRefusal(link: Link, refusal: PluginError): void {
    this.totals.sessionsRefused += 1;
    debug("%s has no more than %d sessions on a connection", this.#options.name, link.limit);
    if (!link.grantsNothing) return;
    this.#waiters.refuse(refusal);
    throw refusal;
  }

  /** How many sessions a connection is expected to have, from what others have learnt. */
  get #expected(): number {
    const known = this.links.map(({ capacity }) => capacity).filter(Number.isFinite);
    return known.length > 0 ? Math.max(1, ...known) : Number.POSITIVE_INFINITY;
  }

  /** The connection that is being made and that the fewest wait for; another one if these will not do for all. */
  #openingFor(priority: number): Opening {
    const known = [...this.#openings].filter(({ attempt }) => attempt.usable);
    const [first] = known.sort((one, other) => one.joined - other.joined);
    if (first && known.length * this.#expected >= this.#waiters.size) return first;
    const attempt = new SharedAttempt(
      async (signal) => this.#link(await this.#options.connect(signal, { priority, isApart: this.#links.size > 0 })),
      (late) => late.connection.close(),
    );
    const opening = { attempt, joined: 0 };
    this.#openings.add(opening);
    return opening;
  }

  async #join(opening: Opening, signal: AbortSignal | undefined): Promise<Link> {
    opening.joined += 1;
    try {
      return await opening.attempt.join(signal);
    } finally {
      opening.joined -= 1;
      const { result, usable } = opening.attempt;
      // The first one who hears of it takes it over. It may be one who has given up just now.
      if ((result || !usable) && this.#openings.delete(opening) && result) this.#takeOver(result);
    }
  }

  #link(connection: OwnedConnection): Link {
    const events = {
      onRoom: () => this.#serve(),
      onIdle: (isIdle: boolean) => this.#setIdle(link, isIdle),
    };
    const link: Link = new Link(connection, events, this.#expected);
    return link;
  }

  #takeOver(link: Link): void {
    const { connection } = link;
    this.totals.opened += 1;
    this.#links.add(link);
    debug("%s connected, %d connections", this.#options.name, this.#links.size);
    connection.lost.addEventListener("abort", () => this.#onLost(link), { once: true });
    if (link.isLost) this.#onLost(link);
    if (this.#isClosed) void connection.close();
    this.#setIdle(link, true);
    this.#serve();
  }

  #onLost(link: Link): void {
    if (!this.#links.delete(link)) return;
    clearTimeout(this.#timers.get(link));
    this.#timers.delete(link);
    if (link.connection.lost.reason?.code === "connection-lost") this.totals.lost += 1;
  }

  /** Closes the connection after a while, unless somebody uses it. It keeps no process alive meanwhile. */
  #setIdle(link: Link, isIdle: boolean): void {
    clearTimeout(this.#timers.get(link));
    this.#timers.delete(link);
    if (!this.#links.has(link)) return;
    link.connection.hold(!isIdle);
    if (!isIdle) return;
    const { idleTimeoutMs, name } = this.#options;
    const close = () => {
      debug("%s was idle for %d ms", name, idleTimeoutMs);
      this.#onLost(link);
      void link.connection.close();
    };
    this.#timers.set(link, setTimeout(close, idleTimeoutMs).unref());
  }
}
