import type { Duplex } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { within } from "../lifetime/deadline.ts";
import {
  alpnOf,
  isMutual,
  type PluginTls,
  refusalOf,
  secureContextOf,
  serverNameOf,
  tlsFailed,
  tlsUnusable,
} from "./plugin-tls.ts";

export type { MutualTls, OwnTls, PluginTls } from "./plugin-tls.ts";

/**
 * Speaks TLS over `stream` as the side that connects, and resolves when the plugin has proved to be the one with the
 * pinned certificate (AutoMTLS), or one that the caller's own authority vouches for. Nothing is sent before that.
 *
 * @throws {PluginError} `handshake-failed` if TLS fails or somebody else answers; `config-error` if the certificates
 *   cannot be used; `stream` is destroyed then
 */
export async function secure(stream: Duplex, tls: PluginTls, signal: AbortSignal): Promise<TLSSocket> {
  stream.on("error", () => {});
  const socket = begin(stream, tls);
  const secured = within({ signal }, () => {
    return new Promise<TLSSocket>((resolve, reject) => {
      const fail = (cause?: Error) => reject(tlsFailed(tls, cause));
      socket.on("error", fail);
      socket.on("close", () => fail());
      socket.once("secureConnect", () => {
        const refusal = refusalOf(socket, tls);
        if (refusal) reject(refusal);
        else resolve(socket);
      });
    });
  });
  return secured.catch((failure) => {
    socket.destroy();
    stream.destroy();
    throw failure;
  });
}

function begin(stream: Duplex, tls: PluginTls): TLSSocket {
  try {
    return connect({
      ...secureContextOf(tls),
      socket: stream,
      servername: serverNameOf(tls),
      ...alpnOf(tls),
      // With AutoMTLS the pin takes the place of a chain of trust.
      rejectUnauthorized: !isMutual(tls),
    });
  } catch (failure) {
    stream.destroy();
    throw tlsUnusable(failure);
  }
}
