import type { Duplex } from "node:stream";
import { createServer, type Server, type TLSSocket } from "node:tls";
import { within } from "../lifetime/deadline.ts";
import { alpnOf, isMutual, type PluginTls, refusalOf, secureContextOf, tlsFailed, tlsUnusable } from "./plugin-tls.ts";

/**
 * Speaks TLS over `stream` as the side that was connected to, and resolves when the plugin has proved by a certificate
 * of its own that it is the plugin: the pinned one (AutoMTLS), or one that the caller's own authority vouches for.
 *
 * @throws {PluginError} `handshake-failed` if TLS fails or somebody else has connected; `config-error` if our own
 *   certificates cannot be used; `stream` is destroyed then
 */
export async function secureAsServer(stream: Duplex, tls: PluginTls, signal: AbortSignal): Promise<TLSSocket> {
  stream.on("error", () => {});
  // Otherwise Node would not look at the end of one who leaves in the middle of the handshake.
  stream.allowHalfOpen = false;
  const server = begin(stream, tls);
  let socket: TLSSocket | undefined;
  const secured = within({ signal }, () => {
    return new Promise<TLSSocket>((resolve, reject) => {
      const fail = (cause?: Error) => reject(tlsFailed(tls, cause));
      server.once("tlsClientError", fail);
      stream.once("close", () => fail());
      server.once("secureConnection", (secret) => {
        socket = secret.on("error", () => {});
        const refusal = refusalOf(secret, tls);
        if (refusal) reject(refusal);
        else resolve(secret);
      });
      server.emit("connection", stream);
    });
  });
  return secured.catch((failure) => {
    // Node crashes if the stream below is destroyed first, and the socket then in the same turn (20 to 24 at least).
    (socket ?? stream).destroy();
    throw failure;
  });
}

/** A TLS server that never listens: only Node's server judges the peer's certificate, a bare socket does not. */
function begin(stream: Duplex, tls: PluginTls): Server {
  try {
    return createServer({
      ...secureContextOf(tls),
      requestCert: true,
      // With AutoMTLS the pin takes the place of a chain of trust.
      rejectUnauthorized: !isMutual(tls),
      ...alpnOf(tls),
    });
  } catch (failure) {
    stream.destroy();
    throw tlsUnusable(failure);
  }
}
