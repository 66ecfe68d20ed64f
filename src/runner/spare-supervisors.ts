import createDebug from "debug";
import type { Connection } from "../contract/connection.ts";
import type { Care } from "../exec/launch.ts";
import { SpareSupervisor } from "../exec/spare-supervisor.ts";
import { offerSession } from "../lifetime/spare-sessions.ts";
import type { SpareStart } from "./box.ts";

const debug = createDebug("go-plugin-ssh:runner");

const known = new WeakMap<Connection, SpareSupervisors>();

/**
 * The supervisors that wait on one connection for plugins to come. Each was made for one way of looking after a plugin,
 * and is given to no start that asks for another. They are nobody's: they end with the connection, and before that when
 * somebody needs their session.
 */
export class SpareSupervisors {
  readonly #connection: Connection;
  readonly #waiting = new Map<SpareSupervisor, { key: string; withdraw: () => void }>();
  readonly #underWay = new Map<string, number>();

  /** The ones of a connection. */
  static of(connection: Connection): SpareSupervisors {
    const spares = known.get(connection) ?? new SpareSupervisors(connection);
    known.set(connection, spares);
    return spares;
  }

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Whether one waits that {@link take} would hand over. */
  fits(start: SpareStart): boolean {
    return this.#find(start) !== undefined;
  }

  /** Hands one over that will look after a plugin as the start asks, if one waits. */
  take(start: SpareStart): SpareSupervisor | undefined {
    const spare = this.#find(start);
    if (!spare) return undefined;
    this.#forget(spare);
    spare.take();
    return spare;
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
      // The connection's own exec: to make one must not cost another one its session.
      const exec = this.#connection.exec.bind(this.#connection);
      const spare = await SpareSupervisor.open({ exec, care, heartbeatIntervalMs });
      const withdraw = offerSession(this.#connection, () => this.#giveBack(spare));
      this.#waiting.set(spare, { key, withdraw });
      void spare.gone.then(() => this.#forget(spare));
      debug("%s: %d supervisors wait", this.#connection.name, this.size);
    } catch (failure) {
      debug("%s: no spare supervisor: %s", this.#connection.name, (failure as Error).message);
    } finally {
      this.#underWay.set(key, (this.#underWay.get(key) ?? 1) - 1);
    }
  }

  #giveBack(spare: SpareSupervisor): Promise<void> {
    debug("%s: a spare supervisor gives its session back", this.#connection.name);
    this.#forget(spare);
    return spare.close();
  }

  #forget(spare: SpareSupervisor): void {
    this.#waiting.get(spare)?.withdraw();
    this.#waiting.delete(spare);
  }
}

/** Equal for those who may stand in for each other. */
function keyOf({ directoryBase, unixSocketGroup, killGraceMs, leaseMs, shell }: Care, heartbeatIntervalMs: number) {
  return JSON.stringify([directoryBase, unixSocketGroup, killGraceMs, leaseMs, shell, heartbeatIntervalMs]);
}
