import { setMaxListeners } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import { type Address, formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { join } from "../lifetime/join.ts";
import { OpenStreams } from "../lifetime/open-streams.ts";

const debug = createDebug("go-plugin-ssh:forward");

/** A translated address, until it is undone. */
export interface Forward {
  /** Where it can be reached: on the host's side for a plugin's address, and the other way round. */
  readonly address: Address;
  /** Resolves when no connection through it is open: all that one side sent has been handed to the other. */
  settled(): Promise<void>;
  /** Stops listening and ends the connections through it. May be called often; never rejects. */
  close(): Promise<void>;
}

/**
 * Listens here for the host, and makes one connection to the plugin for each that arrives: not one more, because a
 * plugin that multiplexes takes the first connection for the only one.
 *
 * @param at where to listen; port 0 takes any free one
 * @param connect makes a connection to the plugin; the signal aborts when the forward is undone or the peer is gone
 */
export async function forwardToPlugin(
  at: Address,
  plugin: Address,
  connect: (signal: AbortSignal) => Promise<Duplex>,
): Promise<Forward> {
  const over = new AbortController();
  // One listener for each connection that is being made is no leak.
  setMaxListeners(0, over.signal);
  const sockets = new OpenStreams();
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", (failure) => debug("%s: %s", formatAddress(plugin), failure.message));
    carry(socket, connect, over.signal).catch((failure) => {
      debug("no connection to %s: %s", formatAddress(plugin), failure.message);
      // Where the network can say so, a reset and not an end: the host must not take it for an answer.
      if (at.network === "tcp") socket.resetAndDestroy();
      else socket.destroy();
    });
  });
  const address = await listen(server, at);
  debug("%s is reached at %s", formatAddress(plugin), formatAddress(address));
  return {
    address,
    settled: () => sockets.over(),
    close: async () => {
      over.abort();
      sockets.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function carry(
  socket: Socket,
  connect: (signal: AbortSignal) => Promise<Duplex>,
  over: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  const leave = () => gone.abort();
  socket.once("close", leave);
  over.addEventListener("abort", leave, { once: true });
  try {
    const stream = await connect(gone.signal);
    join(socket, stream);
    socket.resume();
  } finally {
    socket.off("close", leave);
    over.removeEventListener("abort", leave);
  }
}

function listen(server: Server, at: Address): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once("error", (failure) => {
      reject(
        new PluginError("forward-failed", `Nothing can listen on ${formatAddress(at)} here: ${failure.message}.`, {
          cause: failure,
        }),
      );
    });
    const ready = () => {
      server.on("error", (failure) => debug("listener: %s", failure.message));
      const bound = server.address();
      resolve(at.network === "tcp" && bound !== null && typeof bound === "object" ? { ...at, port: bound.port } : at);
    };
    if (at.network === "unix") server.listen({ path: at.path }, ready);
    else server.listen({ host: at.host, port: at.port }, ready);
  });
}
