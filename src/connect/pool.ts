import { setMaxListeners } from "node:events";
import type { Connection } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { type ConnectOptions, checkConnectOptions, checkNumber } from "./connect-options.ts";
import { type Destination, describeTarget, destinationUrl, readDestination } from "./destination.ts";
import { checkPins } from "./host-key-pins.ts";
import { openSettings } from "./open-settings.ts";
import type { OwnedConnection } from "./owned-connection.ts";
import { BoxPool, type Making } from "./pool/box-pool.ts";
import { HandshakeGate } from "./pool/handshake-gate.ts";
import { doorOf } from "./pool/identity.ts";
import { type BoxStats, type PoolStats, poolStatsText } from "./pool/pool-stats.ts";
import { Resolutions, type Resolved } from "./pool/resolutions.ts";
import type { Settings } from "./settings.ts";

const IDLE_TIMEOUT_MS = 10_000;
/** What was learnt about a box is remembered after its last connection, unless there are more boxes than this. */
const REMEMBERED_BOXES = 100;

/** Settings of a {@link ConnectionPool}. */
export interface ConnectionPoolOptions extends ConnectOptions {
  /** How long a connection that nobody uses stays open. 0: it is closed at once. @default 10_000 */
  idleTimeoutMs?: number;
}

/** A share in the connections to a box. Give it back with `release`; only the pool closes them. */
export interface Lease extends AsyncDisposable {
  /**
   * Behaves as one connection: it is lost when the one below it is. A command for which that has no session left runs on
   * another connection to the same box, which is made if need be. When the lease was given back, it is `closed`.
   */
  readonly connection: Connection;
  /** Gives the connection back. What runs on it is no longer counted. May be called often. */
  release(): void;
}

interface Box {
  readonly name: string;
  readonly connections: BoxPool;
  readonly gate: HandshakeGate;
  /** As they were read last: what says nothing about its identity may have been edited meanwhile. */
  settings: Settings;
}

/**
 * Owns SSH connections that several runners share: one for each box and identity, and more where the server lets one
 * have only so many sessions. Starts that come together share one SSH handshake, and only a few handshakes with one
 * server are under way at a time. A connection that broke is forgotten, and the next lease makes a new one.
 */
export class ConnectionPool implements AsyncDisposable {
  readonly #idleTimeoutMs: number;
  readonly #resolutions: Resolutions;
  readonly #boxes = new Map<string, Box>();
  readonly #gates = new Map<string, HandshakeGate>();
  readonly #ending = new AbortController();
  #closing: Promise<void> | undefined;

  /**
   * @param options how to connect, for every destination of this pool
   * @throws {PluginError} `bad-options`
   */
  constructor({ idleTimeoutMs = IDLE_TIMEOUT_MS, ...options }: ConnectionPoolOptions = {}) {
    checkNumber("idleTimeoutMs", idleTimeoutMs);
    checkConnectOptions(options);
    checkPins(options.hostKeyFingerprints);
    this.#idleTimeoutMs = idleTimeoutMs;
    this.#resolutions = new Resolutions(options);
    // One listener for each connection that is being made is no leak.
    setMaxListeners(0, this.#ending.signal);
  }

  /** How many connections are open. */
  get size(): number {
    return [...this.#boxes.values()].reduce((sum, { connections }) => sum + connections.links.length, 0);
  }

  /**
   * A share in the connections to the box, of which one is made now if there is none. `signal` gives up this wait; the
   * connecting itself ends when the last one who waits has given up.
   *
   * @throws {PluginError} what connecting threw, or `closed` if the pool was closed
   */
  async lease(destination: Destination, signal?: AbortSignal): Promise<Lease> {
    const parts = readDestination(destination);
    this.#throwIfClosed();
    const until = [this.#ending.signal];
    const resolved = await within({ until }, () => this.#resolutions.resolve(parts, signal));
    const { settings } = resolved;
    const url = destinationUrl({ ...settings.target, host: settings.alias });
    const connection = await this.#box(resolved).connections.lease(url, signal);
    if (this.#closing) await connection.close();
    this.#throwIfClosed();
    const release = () => void connection.close();
    return { connection, release, [Symbol.asyncDispose]: async () => release() };
  }

  /** What the pool has and does now, and what has happened so far. */
  stats(): PoolStats {
    const boxes = [...this.#boxes.values()].map(boxStats);
    const connections = boxes.flatMap((box) => box.connections);
    return {
      connections: connections.length,
      sessions: connections.reduce((sum, { sessions }) => sum + sessions, 0),
      waiting: boxes.reduce((sum, { waiting }) => sum + waiting, 0),
      boxes,
    };
  }

  /** The same for people, a line for each box. */
  toString(): string {
    return poolStatsText(this.stats());
  }

  /** Closes every connection, used or not. Resolves when they are closed; each call gives the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** The box by its identity. How patient the connecting to it is goes by who asked last. */
  #box({ settings, identity }: Resolved): Box {
    const known = this.#boxes.get(identity);
    if (known) {
      known.settings = settings;
      return known;
    }
    this.#forgetSome();
    const door = doorOf(settings);
    const gate = this.#gates.get(door) ?? new HandshakeGate();
    this.#gates.set(door, gate);
    const name = describeTarget(settings.target);
    const connect = (signal: AbortSignal, how: Making) => this.#connect(box, signal, how);
    const connections = new BoxPool({ name, idleTimeoutMs: this.#idleTimeoutMs, connect });
    const box: Box = { name, gate, connections, settings };
    this.#boxes.set(identity, box);
    return box;
  }

  async #connect(box: Box, signal: AbortSignal, { priority, isApart }: Making): Promise<OwnedConnection> {
    const connection = await within(
      { signal, until: [this.#ending.signal] },
      (over) =>
        box.gate.pass(
          (turn) => openSettings({ ...box.settings, isApart }, turn),
          { signal: over, priority },
          (late) => late.close(),
        ),
      (late) => late.close(),
    );
    const over = [this.#ending.signal, connection.lost].find(({ aborted }) => aborted);
    if (!over) return connection;
    await connection.close();
    throw over.reason;
  }

  #forgetSome(): void {
    if (this.#boxes.size < REMEMBERED_BOXES) return;
    for (const [key, { connections, gate }] of this.#boxes) {
      if (!connections.isUnused) continue;
      this.#boxes.delete(key);
      const isShared = [...this.#boxes.values()].some((other) => other.gate === gate);
      for (const [door, known] of this.#gates) if (known === gate && !isShared) this.#gates.delete(door);
    }
  }

  #throwIfClosed(): void {
    if (this.#closing) throw new PluginError("closed", "The connection pool was closed.");
  }

  async #close(): Promise<void> {
    await undefined;
    this.#ending.abort(new PluginError("closed", "The connection pool was closed."));
    await Promise.all([...this.#boxes.values()].map(({ connections }) => connections.close()));
  }
}

function boxStats({ name, connections, gate }: Box): BoxStats {
  const { totals, links, waiting } = connections;
  return {
    destination: name,
    connections: links.map(({ sessions, limit, users }) => ({
      sessions,
      sessionLimit: Number.isFinite(limit) ? limit : null,
      leases: users,
    })),
    waiting,
    handshakes: { underWay: gate.underWay, waiting: gate.waiting, atOnce: gate.atOnce },
    totals: {
      opened: totals.opened,
      lost: totals.lost,
      refused: totals.sessionsRefused,
      dropped: gate.totals.dropped,
      retried: gate.totals.retried,
    },
  };
}
