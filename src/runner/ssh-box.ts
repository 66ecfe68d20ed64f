import type { Address } from "../contract/address.ts";
import type { Connection, ExecChannel } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import type { Exec } from "../exec/run-program.ts";
import type { StartReport } from "../exec/start-report.ts";
import { AddressBook } from "../translate/address-book.ts";
import type { Box, Translator } from "./box.ts";
import { BoxStreams, type RelayMode } from "./box-streams.ts";
import { reclaimSession } from "./spare-sessions.ts";
import { SpareSupervisors } from "./spare-supervisors.ts";

/** How plugins on this box are reached. */
export interface SshBoxOptions {
  hostNetwork: "unix" | "tcp";
  relay: RelayMode;
  allowAddress?: ((address: Address) => boolean) | undefined;
  /** How many supervisors wait on the connection for further starts. */
  spareSupervisors: number;
}

/** A box behind a connection. `close` gives the connection back or ends it, whichever is right for its owner. */
export function sshBox(connection: Connection, options: SshBoxOptions, close: () => Promise<void>): Box {
  const exec: Exec = (command, signal) => execWithin(connection, command, signal);
  const { spareSupervisors } = options;
  const spares = SpareSupervisors.of(connection);
  return {
    name: `ssh://${connection.name}`,
    destination: connection.destination ?? `ssh://${connection.name}`,
    lost: connection.lost,
    exec,
    translator: (report) => sshTranslator(connection, exec, report, options),
    spares: {
      take: (start) => spares.take(start),
      refill: (start) => spares.refill(start, spareSupervisors),
    },
    close,
  };
}

/** Starts a command; where the server gives no more sessions, in the place of a supervisor that only waits. */
async function execWithin(connection: Connection, command: string, signal?: AbortSignal): Promise<ExecChannel> {
  for (;;) {
    try {
      return await connection.exec(command, signal);
    } catch (failure) {
      if (!isRefused(failure) || signal?.aborted || !(await reclaimSession(connection))) throw failure;
    }
  }
}

/** Whether the server would not run a command. Not every one says that it was for want of a session. */
function isRefused(failure: unknown): boolean {
  return failure instanceof PluginError && failure.code === "plugin-not-started";
}

function sshTranslator(
  connection: Connection,
  exec: Exec,
  { directory, platform }: StartReport,
  { relay, hostNetwork, allowAddress }: SshBoxOptions,
): Translator {
  const streams = new BoxStreams(connection, exec, { relay, directory });
  const book = new AddressBook({
    connection: streams,
    openStream: (to, signal) => streams.open(to, signal),
    boxDirectory: directory,
    platform,
    hostNetwork,
    allowAddress,
  });
  return {
    pluginToHost: (address, signal) => book.pluginToHost(address, signal),
    hostToPlugin: (address, signal) => book.hostToPlugin(address, signal),
    openStream: async (address, signal) => streams.open(book.check(address), signal),
    notes: () => streams.notes(),
    settled: async () => {
      await Promise.all([book.settled(), streams.settled()]);
    },
    close: async () => {
      await book.close();
      streams.close();
    },
  };
}
