import { PluginError } from "../../contract/errors.ts";
import type { ConnectOptions } from "../connect-options.ts";
import { type Destination, describeTarget, type Target } from "../destination.ts";
import type { OwnedConnection } from "../owned-connection.ts";
import type { Step } from "../ssh2-errors.ts";
import { retell, whatOf } from "./retell.ts";

/** More than anybody goes through, and fewer than a chain without an end. */
const LONGEST = 16;

/** What a connection to a jump host is for. */
export interface Errand {
  /** The boxes that are to be reached through it: at first the one that was asked for, at last the next one. */
  readonly towards: readonly Target[];
  /** Told how far the connecting has come. */
  entered(step: Step): void;
  /** Runs a caller's callback while the deadline of the whole stands still. */
  pausedDuring<T>(task: () => Promise<T> | T): Promise<T>;
}

/** Connects to a jump host by its own configuration. */
export type OpenHop = (
  destination: Destination,
  options: ConnectOptions,
  errand: Errand,
  signal: AbortSignal,
) => Promise<OwnedConnection>;

/**
 * Refuses a jump host through which one of the others is to be reached already.
 *
 * @throws {PluginError} `config-error` naming the chain
 */
export function checkChain(hop: Target, { towards }: Pick<Errand, "towards">): void {
  const chain = [...towards, hop].map(describeTarget);
  const isLoop = chain.indexOf(describeTarget(hop)) < towards.length;
  if (!isLoop && towards.length <= LONGEST) return;
  const why = isLoop ? "go in a circle" : `are more than ${LONGEST}`;
  throw new PluginError("config-error", `The jump hosts ${why}: ${chain.join(" via ")}.`, {
    hint: "Look at `ProxyJump` in the OpenSSH configuration: a `Host *` with one counts for the jump host too, unless it has `ProxyJump none`.",
  });
}

const told = new WeakSet<PluginError>();

/** A jump host's failure, told to whoever wanted to go through it. It is told once, by the hop that failed. */
export function failedHop(failure: PluginError, hop: string, { towards: [box] }: Errand): PluginError {
  if (told.has(failure)) return failure;
  const retold = retell(failure, `On the way to ${describeTarget(box as Target)}, at ${hop}: ${whatOf(failure)}`);
  told.add(retold);
  return retold;
}

/** The error for those who went through a jump host that was lost. */
export function lostWithHop(reason: PluginError, target: Target): PluginError {
  const first = told.has(reason) ? (reason.cause as PluginError) : reason;
  const what = `The connection to ${describeTarget(target)} broke with that to a jump host. ${whatOf(first)}`;
  const lost = new PluginError("connection-lost", what, { hint: first.hint, cause: first });
  told.add(lost);
  return lost;
}
