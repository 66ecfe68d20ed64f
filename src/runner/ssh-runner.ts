import { prepareConnect } from "../connect/connect.ts";
import { type ConnectOptions, isConnectOption } from "../connect/connect-options.ts";
import { type Destination, readDestination } from "../connect/destination.ts";
import type { ConnectionPool } from "../connect/pool.ts";
import type { Address } from "../contract/address.ts";
import type { Connection } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import type { Box } from "./box.ts";
import type { RelayMode } from "./box-streams.ts";
import { checkNames, PLUGIN_OPTION_NAMES, type PluginOptions, resolvePluginOptions } from "./plugin-options.ts";
import { type SshBoxOptions, sshBox } from "./ssh-box.ts";
import { SupervisedRunner } from "./supervised-runner.ts";

/** What of {@link SshRunnerOptions} concerns addresses. */
export interface ForwardOptions {
  /**
   * What the listeners on the host's side are. A unix socket is in a directory that only this account can enter; a TCP
   * port on 127.0.0.1 can be reached by every user of this machine.
   * @default "unix"
   */
  hostNetwork?: "unix" | "tcp";
  /**
   * What to do where the server refuses to forward, or does not know how:
   *
   * - `"auto"`: connections to the plugin go through a program on the box (perl, python3, socat or ncat), in an exec
   *   channel each. Listeners for the plugin become a TCP port on the box's loopback, which every user of the box can
   *   connect to; where that is refused too, a program (perl or python3) listens in the private directory.
   * - `"never"`: it fails with `forward-forbidden`
   * - `"always"`: the server is not even asked; for tests and comparisons
   *
   * Each connection through a program takes one of the connection's sessions: see `MaxSessions` in sshd_config.
   * @default "auto"
   */
  relay?: RelayMode;
  /** Takes an address of the plugin's that is not on the box's own loopback. @default none is taken */
  allowAddress?: (address: Address) => boolean;
}

/** What of {@link SshRunnerOptions} concerns plugins that are still to come. */
export interface SpareOptions {
  /**
   * How many supervisors wait on a shared connection (`pool` or `connection`) once this plugin runs, so that a later
   * start with the same `directoryBase`, `unixSocketGroup`, `killGraceMs`, `leaseMs` and `heartbeatIntervalMs` saves two
   * round trips. Each takes one of the connection's sessions (`MaxSessions` in sshd_config, 10 by default), which it
   * gives back when that is needed, and on the box three small processes. They end with the connection.
   * @default 0
   */
  spareSupervisors?: number;
}

/** None of the options that say how to connect: somebody else has connected. */
type NoConnectOptions = { [Name in keyof ConnectOptions]?: never };

/** How an {@link SshRunner} comes to its connection: one of its own, one of a pool's, or a given one. */
export type ConnectionSource =
  | ({ destination: Destination; pool?: never; connection?: never } & ConnectOptions)
  | ({ destination: Destination; pool: ConnectionPool; connection?: never } & NoConnectOptions)
  | ({ destination?: never; pool?: never; connection: Connection } & NoConnectOptions);

/** Settings of an {@link SshRunner}. */
export type SshRunnerOptions = PluginOptions & ForwardOptions & SpareOptions & ConnectionSource;

/**
 * Runs a go-plugin plugin on another machine, over SSH.
 *
 * The plugin is started by a small supervisor that travels with the request, so nothing but the plugin has to be
 * installed on the box. It ends with all its descendants on `kill`, when the connection ends, and when the host has
 * not been heard from for a lease. A connection of its own is closed with the plugin; one of a pool is given back.
 */
export class SshRunner extends SupervisedRunner {
  /** @throws {PluginError} `bad-options`; nothing has been opened then */
  constructor(options: SshRunnerOptions) {
    checkNames(options, (name) => NAMES.has(name) || PLUGIN_OPTION_NAMES.includes(name) || isConnectOption(name));
    const openBox = boxOpener(options);
    super(resolvePluginOptions(options), openBox);
  }
}

const NAMES = new Set<string>([
  "destination",
  "pool",
  "connection",
  "hostNetwork",
  "relay",
  "allowAddress",
  "spareSupervisors",
]);

function boxOpener(options: SshRunnerOptions): (signal: AbortSignal) => Promise<Box> {
  const forward = { ...forwardOptions(options), spareSupervisors: spareSupervisors(options) };
  const { destination, pool, connection } = options as { [K in "destination" | "pool" | "connection"]?: unknown };
  if (options.connection) {
    if (destination !== undefined || pool !== undefined) refuseTogether("connection", "destination` and `pool");
    const given = options.connection;
    // It belongs to the caller, who closes it.
    return async () => sshBox(given, forward, async () => {});
  }
  if (destination === undefined || connection !== undefined) {
    throw new PluginError("bad-options", "A runner needs a `destination`, or a `connection`.");
  }
  if (options.pool) {
    const set = Object.keys(options).find(isConnectOption);
    if (set) refuseTogether(set, "pool", "Give it to the pool's constructor.");
    const shared = options.pool;
    const parts = readDestination(options.destination);
    return async (signal) => {
      const lease = await shared.lease(parts, signal);
      return sshBox(lease.connection, forward, async () => lease.release());
    };
  }
  const connectOptions: ConnectOptions = Object.fromEntries(
    Object.entries(options).filter(([name, value]) => isConnectOption(name) && value !== undefined),
  );
  const connect = prepareConnect(options.destination as Destination, connectOptions);
  return async (signal) => {
    const own = await connect(signal);
    return sshBox(own, forward, () => own.close());
  };
}

function forwardOptions({
  hostNetwork = "unix",
  relay = "auto",
  allowAddress,
}: ForwardOptions): Omit<SshBoxOptions, "spareSupervisors"> {
  if (hostNetwork !== "unix" && hostNetwork !== "tcp") {
    throw new PluginError(
      "bad-options",
      `\`hostNetwork\` must be "unix" or "tcp", not ${JSON.stringify(hostNetwork)}.`,
    );
  }
  if (!["auto", "never", "always"].includes(relay)) {
    const given = JSON.stringify(relay);
    throw new PluginError("bad-options", `\`relay\` must be "auto", "never" or "always", not ${given}.`);
  }
  if (allowAddress !== undefined && typeof allowAddress !== "function") {
    throw new PluginError("bad-options", "`allowAddress` must be a function that takes an address and says yes or no.");
  }
  return { hostNetwork, relay, allowAddress };
}

function spareSupervisors({ spareSupervisors: count = 0, pool, connection }: SshRunnerOptions): number {
  if (!Number.isInteger(count) || count < 0) {
    throw new PluginError(
      "bad-options",
      `\`spareSupervisors\` must be a number, 0 or more, not ${JSON.stringify(count)}.`,
    );
  }
  if (count > 0 && !pool && !connection) {
    throw new PluginError("bad-options", "`spareSupervisors` wait for other plugins on the same connection.", {
      hint: "Give a `pool` or a `connection` with it.",
    });
  }
  return count;
}

function refuseTogether(one: string, other: string, hint = ""): never {
  throw new PluginError("bad-options", `\`${one}\` and \`${other}\` exclude each other.`, { hint });
}
