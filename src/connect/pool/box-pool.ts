import createDebug from "debug";
import type { ExecChannel } from "../../contract/connection.ts";
import { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";
import type { OwnedConnection } from "../owned-connection.ts";
import { LeasedConnection, type SessionSource } from "./leased-connection.ts";
import { Link, type Seat } from "./link.ts";
import { Openings } from "./openings.ts";
import { type GiveBack, Spares } from "./spares.ts";
import { type Waiter, Waiters } from "./waiters.ts";

const debug = createDebug("go-plugin-ssh:pool");

/** Who starts something waits; who looks after what runs, or ends it, goes first. */
const START = 0;
const RUNNING = 1;
const SPARE = -1;

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

/**
 * The connections to one box under one identity. There is one, until the server refuses a session on it: then there are
 * as many as the sessions need.
 */
export class BoxPool implements SessionSource {
  readonly totals: BoxTotals = { opened: 0, lost: 0, sessionsRefused: 0 };
  readonly #options: BoxPoolOptions;
  readonly #links = new Set<Link>();
  readonly #openings: Openings;
  readonly #waiters = new Waiters();
  readonly #spares = new Spares();
  readonly #timers = new Map<Link, ReturnType<typeof setTimeout>>();
  #isClosed = false;

  constructor(options: BoxPoolOptions) {
    this.#options = options;
    const open = async (signal: AbortSignal, priority: number) =>
      this.#link(await options.connect(signal, { priority, isApart: this.#links.size > 0 }));
    this.#openings = new Openings(open, (link) => this.#takeOver(link));
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
    const link = this.#best() ?? (await this.#openings.join(1, START, signal));
    if (link.isLost) throw link.connection.lost.reason;
    return new LeasedConnection(this, link, destination);
  }

  /** Starts a command where there is room for it: at the lease's home, on another connection, on a new one. */
  async exec(lease: LeasedConnection, command: string, signal: AbortSignal): Promise<ExecChannel> {
    const priority = lease.isSettled ? RUNNING : START;
    for (;;) {
      const seat = await this.#seat(lease.home, priority, signal);
      const { link } = seat;
      // A connection on which a session is asked for is not idle, though no lease is at home there yet.
      link.use(lease);
      try {
        const granted = await link.exec(command, seat, { signal, priority });
        if (granted.channel) {
          lease.take(link, granted.channel, granted.end);
          return granted.channel;
        }
        if (granted.refusal) this.#onRefusal(link, granted.refusal);
      } finally {
        link.unuse(lease);
      }
    }
  }

  /** Starts a command that is nobody's, if there is room for it and nobody waits. */
  async execSpare(home: Link, command: string, giveBack: GiveBack, signal?: AbortSignal): Promise<ExecChannel> {
    const seat = this.#waiters.size > 0 ? undefined : this.#reserve(home);
    const granted = await seat?.link.exec(command, seat, { signal, priority: SPARE });
    if (seat && granted?.channel) {
      this.#spares.add(granted.channel, { link: seat.link, end: granted.end, giveBack });
      return granted.channel;
    }
    if (granted?.refusal) this.totals.sessionsRefused += 1;
    const what = `${this.#options.name} has no session left for a command that nobody waits for.`;
    throw new PluginError("plugin-not-started", what, { cause: granted?.refusal });
  }

  /** Makes a spare command a lease's own. */
  claim(lease: LeasedConnection, channel: ExecChannel): boolean {
    const spare = this.#spares.take(channel);
    if (spare) lease.take(spare.link, channel, spare.end);
    return spare !== undefined;
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
    throwIfAborted(signal);
    const seat = this.#waiters.hasBefore(priority) ? undefined : this.#reserve(home);
    return seat ?? this.#waitForSeat(priority, signal);
  }

  #reserve(home?: Link): Seat | undefined {
    for (const link of new Set([...(home ? [home] : []), ...this.#links])) {
      const seat = link.isLost ? undefined : link.reserve();
      if (seat) return seat;
    }
    return undefined;
  }

  /** Waits for a place, in one's turn, and sees to it that there will be one. */
  async #waitForSeat(priority: number, signal: AbortSignal): Promise<Seat> {
    const waiter = this.#waiters.add(priority);
    let seat: Seat | undefined;
    try {
      while (!seat) {
        const more = this.#spares.reclaim(this.#waiters.size) ?? this.#openMore(waiter);
        seat = await within({ signal }, () => Promise.race([waiter.seat, more.then(() => undefined)]));
      }
      return seat;
    } finally {
      this.#waiters.leave(waiter, seat);
    }
  }

  /** Resolves when there is one connection more for those who wait, besides the sessions that are given back. */
  #openMore({ priority, left }: Waiter): Promise<unknown> {
    const needed = Math.ceil((this.#waiters.size - this.#spares.goingBack) / this.#expected);
    return this.#openings.join(Math.max(1, needed), priority, left);
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
