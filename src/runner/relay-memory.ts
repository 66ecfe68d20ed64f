import type { Address } from "../contract/address.ts";
import type { Connection } from "../contract/connection.ts";
import { findRelayTool, type RelayTool } from "../exec/relay-tool.ts";
import type { Exec } from "../exec/run-program.ts";
import { SharedAttempt } from "../lifetime/shared-attempt.ts";

type Network = Address["network"];

const memories = new WeakMap<object, RelayMemory>();

/**
 * What was learnt about one connection's server: what it refuses, and what its box has to get around that. All plugins
 * on the box share it, or on the connection where nobody knows of others, so only the first one pays for a refusal.
 */
export class RelayMemory {
  /** Networks to which the server does not connect. */
  readonly unreachable = new Set<Network>();
  /** Networks on which the server does not listen, with what listens there instead. */
  readonly listens = new Map<Network, "tcp" | "relay">();
  #tool: SharedAttempt<RelayTool | "none"> | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** The one of a connection, made at the first question. */
  static of(connection: Connection): RelayMemory {
    const place = connection.box ?? connection;
    const known = memories.get(place) ?? new RelayMemory();
    memories.set(place, known);
    return known;
  }

  /** What relays on the box, or `none`; looked for once. */
  async tool(exec: Exec, signal: AbortSignal | undefined): Promise<RelayTool | "none"> {
    if (!this.#tool?.usable) {
      this.#tool = new SharedAttempt(
        async (over) => (await findRelayTool(exec, over)) ?? "none",
        () => {},
      );
    }
    return this.#tool.join(signal);
  }

  /** What was found; `undefined` if nobody has looked yet. */
  get knownTool(): RelayTool | "none" | undefined {
    return this.#tool?.result;
  }

  /** Runs `task` when the earlier ones are over, so that what one has learnt saves the next one its question. */
  inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(task);
    this.#turn = turn.catch(() => {});
    return turn;
  }
}
