import type { Duplex } from "node:stream";
import { forbidden } from "../connect/ssh2-errors.ts";
import { type Address, formatAddress } from "../contract/address.ts";
import type { Connection } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { type Exec, runProgram } from "../exec/run-program.ts";
import type { StartReport } from "../exec/start-report.ts";
import { AddressBook } from "../translate/address-book.ts";
import type { Box, Translator } from "./box.ts";

const LOOK_MS = 5_000;

/** How plugins on this box are reached. */
export interface SshBoxOptions {
  hostNetwork: "unix" | "tcp";
  allowAddress?: ((address: Address) => boolean) | undefined;
}

/** A box behind a connection. `close` gives the connection back or ends it, whichever is right for its owner. */
export function sshBox(connection: Connection, options: SshBoxOptions, close: () => Promise<void>): Box {
  const exec: Exec = (command, signal) => connection.exec(command, signal);
  return {
    name: `ssh://${connection.name}`,
    destination: `ssh://${connection.name}`,
    lost: connection.lost,
    exec,
    translator: (report) => sshTranslator(connection, exec, report, options),
    close,
  };
}

function sshTranslator(connection: Connection, exec: Exec, report: StartReport, options: SshBoxOptions): Translator {
  const streams = new Set<Duplex>();
  const openStream = async (to: Address, signal?: AbortSignal): Promise<Duplex> => {
    try {
      const stream = await connection.openStream(to, signal);
      streams.add(stream);
      return stream.once("close", () => streams.delete(stream));
    } catch (failure) {
      throw await explain(failure, exec, to, signal);
    }
  };
  const book = new AddressBook({
    connection,
    openStream,
    boxDirectory: report.directory,
    platform: report.platform,
    ...options,
  });
  return {
    pluginToHost: (address, signal) => book.pluginToHost(address, signal),
    hostToPlugin: (address, signal) => book.hostToPlugin(address, signal),
    openStream: async (address, signal) => openStream(book.check(address), signal),
    close: async () => {
      await book.close();
      // On a connection that others use too, nobody else would end them.
      for (const stream of streams) stream.destroy();
    },
  };
}

/**
 * For unix sockets sshd says the same of a forbidden forward and of a missing socket. Looking at the box tells them
 * apart without touching the socket.
 */
async function explain(failure: unknown, exec: Exec, to: Address, signal: AbortSignal | undefined): Promise<unknown> {
  if (!(failure instanceof PluginError) || failure.code !== "forward-failed" || to.network !== "unix") return failure;
  const where = formatAddress(to);
  const { cause } = failure;
  const limits = { signal, timeoutMs: LOOK_MS };
  const { file, listening } = await runProgram(exec, "listening.sh", { gps_path: to.path }, limits).catch(
    (): Record<string, string> => ({}),
  );
  if (listening === "yes")
    return forbidden(`The server forbids connections to ${where}, where the plugin does listen`, to, cause);
  if (file === "none") {
    return new PluginError("forward-failed", `There is no socket ${where} on the box.`, {
      cause,
      hint: "The plugin may have ended, or the box's temporary files were cleaned.",
    });
  }
  if (listening === "no") {
    return new PluginError("forward-failed", `Nobody listens on ${where} on the box.`, {
      cause,
      hint: "The plugin may have ended.",
    });
  }
  const { hint } = forbidden("", to);
  return new PluginError(
    "forward-failed",
    `The server would not connect to ${where}: it may be forbidden, or nobody listens.`,
    { cause, hint },
  );
}
