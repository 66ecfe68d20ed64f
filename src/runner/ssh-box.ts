import type { Address } from "../contract/address.ts";
import type { Connection } from "../contract/connection.ts";
import type { Exec } from "../exec/run-program.ts";
import type { StartReport } from "../exec/start-report.ts";
import { AddressBook } from "../translate/address-book.ts";
import type { Box, Translator } from "./box.ts";
import { BoxStreams, type RelayMode } from "./box-streams.ts";

/** How plugins on this box are reached. */
export interface SshBoxOptions {
  hostNetwork: "unix" | "tcp";
  relay: RelayMode;
  allowAddress?: ((address: Address) => boolean) | undefined;
}

/** A box behind a connection. `close` gives the connection back or ends it, whichever is right for its owner. */
export function sshBox(connection: Connection, options: SshBoxOptions, close: () => Promise<void>): Box {
  const exec: Exec = (command, signal) => connection.exec(command, signal);
  return {
    name: `ssh://${connection.name}`,
    destination: connection.destination ?? `ssh://${connection.name}`,
    lost: connection.lost,
    exec,
    translator: (report) => sshTranslator(connection, exec, report, options),
    close,
  };
}

function sshTranslator(
  connection: Connection,
  exec: Exec,
  { directory, platform }: StartReport,
  { relay, ...options }: SshBoxOptions,
): Translator {
  const streams = new BoxStreams(connection, exec, { relay, directory });
  const book = new AddressBook({
    connection: streams,
    openStream: (to, signal) => streams.open(to, signal),
    boxDirectory: directory,
    platform,
    ...options,
  });
  return {
    pluginToHost: (address, signal) => book.pluginToHost(address, signal),
    hostToPlugin: (address, signal) => book.hostToPlugin(address, signal),
    openStream: async (address, signal) => streams.open(book.check(address), signal),
    notes: () => streams.notes(),
    close: async () => {
      await book.close();
      streams.close();
    },
  };
}
