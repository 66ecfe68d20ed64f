import createDebug from "debug";
import type { Connection, SpareSessions } from "../contract/connection.ts";
import type { Care } from "../exec/launch.ts";
import type { Exec } from "../exec/run-program.ts";
import { SpareSupervisor } from "../exec/spare-supervisor.ts";
import { later } from "../lifetime/later.ts";
import type { SpareStart } from "./box.ts";
import { spareSessionsOf } from "./spare-sessions.ts";

const debug = createDebug("go-plugin-ssh:runner");

/** A supervisor that waits, and for which starts it will do. */
type Waiting = Map<SpareSupervisor, { key: string }>;

/** By what {@link SpareSessions.key} is for all connections that can use them. */
const known = new WeakMap<object, { waiting: Waiting; underWay: Map<string, number> }>();

/**
 * The supervisors that wait on one connection, or on all of a pool's to one box, for plugins to come. Each was made for
 * one way of looking after a plugin, and is given to no start that asks for another. They are nobody's: they end with the
 * connection, and before that when somebody needs their session.
 */
export class SpareSupervisors {
  readonly #name: string;
  readonly #sessions: SpareSessions;
  readonly #waiting: Waiting;
  readonly #underWay: Map<string, number>;

  /** The ones that a connection can use. */
  static of(connection: Connection): SpareSupervisors {
    return new SpareSupervisors(connection);
  }

  private constructor(connection: Connection) {
    this.#name = connection.name;
    this.#sessions = spareSessionsOf(connection);
    const shared = known.get(this.#sessions.key) ?? { waiting: new Map(), underWay: new Map() };
    known.set(this.#sessions.key, shared);
    this.#waiting = shared.waiting;
    this.#underWay = shared.underWay;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Whether one waits that {@link take} would hand over. */
  fits(start: SpareStart): boolean {
    return this.#find(start) !== undefined;
  }

  /** Hands one over that will look after a plugin as the start asks, if one waits. It is this connection's own then. */
  take(start: SpareStart): SpareSupervisor | undefined {
    for (let spare = this.#find(start); spare; spare = this.#find(start)) {
      this.#waiting.delete(spare);
      if (!this.#sessions.claim(spare.channel)) continue;
      spare.take();
      return spare;
    }
    return undefined;
  }

  /**
   * Has as many made as `count` lacks, and waits for nothing. Where the server gives no session, there are fewer; it is
   * asked again at the next call. One that ends by itself, as by a limit of the box, is not replaced before that either.
   */
  refill({ care, heartbeatIntervalMs }: SpareStart, count: number): void {
    const key = keyOf(care, heartbeatIntervalMs);
    for (let there = this.#count(key); there < count; there += 1) void this.#make(key, care, heartbeatIntervalMs);
  }

  #find({ care, heartbeatIntervalMs }: SpareStart): SpareSupervisor | undefined {
    const key = keyOf(care, heartbeatIntervalMs);
    const [spare] = [...this.#waiting].find(([one, { key: its }]) => its === key && one.isReady) ?? [];
    return spare;
  }

  #count(key: string): number {
    const waiting = [...this.#waiting.values()].filter((one) => one.key === key).length;
    return waiting + (this.#underWay.get(key) ?? 0);
  }

  async #make(key: string, care: Care, heartbeatIntervalMs: number): Promise<void> {
    this.#underWay.set(key, (this.#underWay.get(key) ?? 0) + 1);
    try {
      const made = later<SpareSupervisor>();
      const giveBack = async () => this.#giveBack(await made.promise);
      const exec: Exec = (command, signal) => this.#sessions.exec(command, giveBack, signal);
      const spare = await SpareSupervisor.open({ exec, care, heartbeatIntervalMs });
      made.resolve(spare);
      this.#waiting.set(spare, { key });
      void spare.gone.then(() => this.#waiting.delete(spare));
      debug("%s: %d supervisors wait", this.#name, this.size);
    } catch (failure) {
      debug("%s: no spare supervisor: %s", this.#name, (failure as Error).message);
    } finally {
      this.#underWay.set(key, (this.#underWay.get(key) ?? 1) - 1);
    }
  }

  #giveBack(spare: SpareSupervisor): Promise<void> {
    debug("%s: a spare supervisor gives its session back", this.#name);
    this.#waiting.delete(spare);
    return spare.close();
  }
}

/** Equal for those who may stand in for each other. */
function keyOf({ directoryBase, unixSocketGroup, killGraceMs, leaseMs, shell }: Care, heartbeatIntervalMs: number) {
  return JSON.stringify([directoryBase, unixSocketGroup, killGraceMs, leaseMs, shell, heartbeatIntervalMs]);
}
