import createDebug from "debug";
import type { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { type Later, later } from "../../lifetime/later.ts";
import type { ConnInfo } from "../gen/plugin_pb.ts";

const debug = createDebug("go-plugin-ssh:broker");

/** How long an announcement is kept, and waited for. Same as in go-plugin's `grpc_broker.go`. */
export const PATIENCE_MS = 5_000;

/** A plugin that announces without end must not fill our memory. */
const MOST_KEPT = 1_024;

/** A wait for an announcement. */
export interface Wait {
  readonly signal?: AbortSignal | undefined;
  readonly until: readonly AbortSignal[];
  readonly onTimeout: () => PluginError;
}

/**
 * What the plugin has said of its listeners, by id: one message for each, kept until somebody asks for it, but no
 * longer than 5 s. A second one for an id that has one is dropped, as in go-plugin.
 */
export class Announcements {
  readonly #kept = new Map<number, { info: ConnInfo; timer: NodeJS.Timeout }>();
  readonly #waiting = new Map<number, Set<Later<ConnInfo>>>();

  /** Gives `info` to whoever waits for its id, or keeps it. */
  offer(info: ConnInfo): void {
    const { serviceId: id } = info;
    const [first] = this.#waiting.get(id) ?? [];
    if (first) {
      this.#leave(id, first);
      first.resolve(info);
    } else if (this.#kept.has(id) || this.#kept.size >= MOST_KEPT) {
      debug("a further announcement for id %d was dropped", id);
    } else {
      const timer = setTimeout(() => {
        debug("nobody asked for id %d within %d ms", id, PATIENCE_MS);
        this.#kept.delete(id);
      }, PATIENCE_MS).unref();
      this.#kept.set(id, { info, timer });
    }
  }

  /** Whether somebody waits for this id. */
  isAwaited(id: number): boolean {
    return this.#waiting.has(id);
  }

  /** The announcement for an id: the one that is there, or the next one that comes within 5 s. */
  take(id: number, { signal, until, onTimeout }: Wait): Promise<ConnInfo> {
    const turn = later<ConnInfo>();
    const ask = async () => {
      const kept = this.#kept.get(id);
      if (kept) {
        this.forget(id);
        return kept.info;
      }
      const waiting = this.#waiting.get(id) ?? new Set();
      this.#waiting.set(id, waiting.add(turn));
      return turn.promise;
    };
    const limits = { signal, until, onTimeout, timeoutMs: PATIENCE_MS };
    return within(limits, ask, (late) => this.offer(late)).finally(() => this.#leave(id, turn));
  }

  /** Drops what is kept for an id. */
  forget(id: number): void {
    clearTimeout(this.#kept.get(id)?.timer);
    this.#kept.delete(id);
  }

  /** Drops all that is kept. */
  clear(): void {
    for (const id of [...this.#kept.keys()]) this.forget(id);
  }

  #leave(id: number, turn: Later<ConnInfo>): void {
    const waiting = this.#waiting.get(id);
    waiting?.delete(turn);
    if (waiting?.size === 0) this.#waiting.delete(id);
  }
}
