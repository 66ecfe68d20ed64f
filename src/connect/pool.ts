import { setMaxListeners } from "node:events";
import createDebug from "debug";
import PQueue from "p-queue";
import type { Connection } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { SharedAttempt } from "../lifetime/shared-attempt.ts";
import { resolveSettings } from "./config/resolve-settings.ts";
import { type ConnectOptions, checkConnectOptions, checkNumber } from "./connect-options.ts";
import { type Destination, type DestinationParts, readDestination } from "./destination.ts";
import { checkPins } from "./host-key-pins.ts";
import { openSettings } from "./open-settings.ts";
import type { OwnedConnection } from "./owned-connection.ts";

const debug = createDebug("go-plugin-ssh:pool");

/** sshd begins to drop connections at ten that have not logged in (MaxStartups 10:30:100). */
const HANDSHAKES_PER_BOX = 5;
const IDLE_TIMEOUT_MS = 10_000;

/** Settings of a {@link ConnectionPool}. */
export interface ConnectionPoolOptions extends ConnectOptions {
  /** How long a connection that nobody uses stays open. 0: it is closed at once. @default 10_000 */
  idleTimeoutMs?: number;
}

/** A connection that is shared with others. Give it back with `release`; only the pool closes it. */
export interface Lease extends AsyncDisposable {
  readonly connection: Connection;
  /** Gives the connection back. May be called often. */
  release(): void;
}

interface Entry {
  readonly attempt: SharedAttempt<OwnedConnection>;
  leases: number;
  idle?: ReturnType<typeof setTimeout> | undefined;
}

/**
 * Owns SSH connections that several runners share: one for each box and login. Starts that come together share one
 * SSH handshake. A connection that broke is forgotten, and the next lease makes a new one.
 */
export class ConnectionPool implements AsyncDisposable {
  readonly #options: ConnectOptions;
  readonly #idleTimeoutMs: number;
  readonly #entries = new Map<string, Entry>();
  readonly #handshakes = new Map<string, PQueue>();
  readonly #connections = new Set<OwnedConnection>();
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
    this.#options = options;
    this.#idleTimeoutMs = idleTimeoutMs;
    // One listener for each connection that is being made is no leak.
    setMaxListeners(0, this.#ending.signal);
  }

  /** How many connections are open. */
  get size(): number {
    return this.#connections.size;
  }

  /**
   * A connection to the box, made now or shared with others. `signal` gives up this wait; the connecting itself ends
   * when the last one who waits has given up.
   *
   * @throws {PluginError} what connecting threw, or `closed` if the pool was closed
   */
  async lease(destination: Destination, signal?: AbortSignal): Promise<Lease> {
    const target = readDestination(destination);
    this.#throwIfClosed();
    const key = describeParts(target);
    const entry = this.#entry(key, target);
    entry.leases += 1;
    clearTimeout(entry.idle);
    try {
      const connection = await entry.attempt.join(signal);
      this.#throwIfClosed();
      connection.hold(true);
      let held = true;
      const release = () => {
        if (held) this.#giveBack(key, entry);
        held = false;
      };
      return { connection, release, [Symbol.asyncDispose]: async () => release() };
    } catch (failure) {
      this.#giveBack(key, entry);
      throw failure;
    }
  }

  /** Closes every connection, used or not. Resolves when they are closed; each call gives the same promise. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #entry(key: string, target: DestinationParts): Entry {
    const known = this.#entries.get(key);
    // One that has failed may still be here, for those who have not heard of it yet.
    if (known?.attempt.usable) return known;
    const attempt = new SharedAttempt(
      (signal) => this.#open(key, target, signal),
      (late) => late.close(),
    );
    const entry: Entry = { leases: 0, attempt };
    this.#entries.set(key, entry);
    return entry;
  }

  async #open(key: string, target: DestinationParts, signal: AbortSignal): Promise<OwnedConnection> {
    const box = `${target.host}:${target.port ?? ""}`;
    const queue = this.#handshakes.get(box) ?? new PQueue({ concurrency: HANDSHAKES_PER_BOX });
    this.#handshakes.set(box, queue);
    const limits = { signal, until: [this.#ending.signal] };
    // Aborted while it waits for its turn, or while it connects: both end the same way. The queue gets no signal: it
    // would race with a connection that was just made, and drop it.
    const connection = await within(
      limits,
      (over) => queue.add(() => this.#connect(target, over)),
      (late) => late.close(),
    ).finally(() => {
      if (queue.size + queue.pending === 0) this.#handshakes.delete(box);
    });
    const over = [this.#ending.signal, connection.lost].find(({ aborted }) => aborted);
    if (over) {
      await connection.close();
      throw over.reason;
    }
    this.#connections.add(connection);
    debug("%s connected, %d connections", key, this.#connections.size);
    connection.lost.addEventListener("abort", () => {
      this.#connections.delete(connection);
      const entry = this.#entries.get(key);
      if (entry?.attempt.result === connection) this.#forget(key, entry);
    });
    return connection;
  }

  async #connect(target: DestinationParts, signal: AbortSignal): Promise<OwnedConnection> {
    return openSettings(await resolveSettings(target, this.#options, signal), signal);
  }

  /** One lease less. With the last one, what never became a connection is forgotten, and what did begins to idle. */
  #giveBack(key: string, entry: Entry): void {
    entry.leases -= 1;
    if (entry.leases > 0) return;
    const connection = entry.attempt.result;
    if (!connection || connection.lost.aborted) this.#forget(key, entry);
    else this.#idle(key, entry, connection);
  }

  /** Closes the connection after a while, unless somebody leases it. It keeps no process alive meanwhile. */
  #idle(key: string, entry: Entry, connection: OwnedConnection): void {
    connection.hold(false);
    entry.idle = setTimeout(() => {
      debug("%s was idle for %d ms", key, this.#idleTimeoutMs);
      this.#forget(key, entry);
      void connection.close();
    }, this.#idleTimeoutMs).unref();
  }

  #forget(key: string, entry: Entry): void {
    clearTimeout(entry.idle);
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
  }

  #throwIfClosed(): void {
    if (this.#closing) throw new PluginError("closed", "The connection pool was closed.");
  }

  async #close(): Promise<void> {
    await undefined;
    this.#ending.abort(new PluginError("closed", "The connection pool was closed."));
    for (const [key, entry] of this.#entries) this.#forget(key, entry);
    await Promise.all([...this.#connections].map((connection) => connection.close()));
  }
}

/** A destination as a key of a map: the same parts, given in whatever form, are the same text. */
function describeParts({ host, port, user }: DestinationParts): string {
  return JSON.stringify([user, host, port]);
}
