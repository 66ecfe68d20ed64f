import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import { type Address, formatAddress } from "../contract/address.ts";
import type { Connection, Listener } from "../contract/connection.ts";
import { join } from "../lifetime/join.ts";
import { OpenStreams } from "../lifetime/open-streams.ts";
import { whenSocketGone } from "../lifetime/when-socket-gone.ts";
import type { Forward } from "./forward-to-plugin.ts";

const debug = createDebug("go-plugin-ssh:forward");

/** Nobody tells a translator that a host's listener is gone; these say so. */
const NOBODY_LISTENS = new Set(["ENOENT", "ECONNREFUSED"]);

/**
 * Has the box listen for the plugin, and makes one connection to the host for each that arrives. When it resolves,
 * the plugin can connect. When nothing listens on the host's side any more, the box stops listening; connections that
 * were made go on.
 *
 * @param at where on the box to listen; port 0 takes any free one
 * @param onGone called when the box was told to stop listening, at most once
 */
export async function forwardToHost(
  connection: Pick<Connection, "listen">,
  at: Address,
  host: Address,
  onGone: () => void,
  signal?: AbortSignal,
): Promise<Forward> {
  const sockets = new OpenStreams();
  let listener: Listener | undefined;
  let gone = false;
  let unwatch = () => {};
  const stopListening = () => {
    if (gone) return;
    gone = true;
    unwatch();
    // The first connection may be faster than the word that the box listens.
    void listener?.close();
    onGone();
  };
  const arrived = (stream: Duplex) => {
    const socket =
      host.network === "unix" ? connect({ path: host.path, allowHalfOpen: true }) : dialTcp(host.host, host.port);
    sockets.add(socket);
    socket.on("error", (failure: NodeJS.ErrnoException) => {
      debug("%s: %s", formatAddress(host), failure.message);
      if (NOBODY_LISTENS.has(failure.code ?? "")) stopListening();
    });
    join(socket, stream);
  };
  if (host.network === "unix") unwatch = whenSocketGone(host.path, stopListening);
  const made = await connection.listen(at, arrived, signal).catch((failure) => {
    unwatch();
    throw failure;
  });
  listener = made;
  if (gone) await made.close();
  debug("%s is reached from the box at %s", formatAddress(host), formatAddress(made.address));
  return {
    address: made.address,
    settled: () => sockets.over(),
    close: async () => {
      gone = true;
      unwatch();
      sockets.destroy();
      await made.close();
    },
  };
}

function dialTcp(host: string, port: number): Socket {
  return connect({ host: host || "127.0.0.1", port, noDelay: true, allowHalfOpen: true });
}
