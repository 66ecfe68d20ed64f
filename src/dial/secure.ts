import type { Duplex } from "node:stream";
import { connect, type TLSSocket } from "node:tls";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";

/** The two ends of a go-plugin AutoMTLS connection, as the host sees them. */
export interface MutualTls {
  /** Our own certificate, which the plugin was given in `PLUGIN_CLIENT_CERT`. */
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** The plugin's certificate, from its handshake line. */
  readonly pluginCertificate: Buffer;
}

/**
 * Speaks TLS over `stream` as go-plugin's AutoMTLS does, and resolves when the plugin has proved to be the one with
 * the pinned certificate. Nothing is sent before that. The certificate's dates are not looked at: the very
 * certificate came over the authenticated SSH connection, and the clocks of two machines may differ.
 *
 * @throws {PluginError} `handshake-failed` if TLS fails or somebody else answers
 */
export function secure(stream: Duplex, tls: MutualTls, signal: AbortSignal): Promise<TLSSocket> {
  const socket = connect({
    socket: stream,
    servername: "localhost",
    cert: tls.certificatePem,
    key: tls.privateKeyPem,
    ALPNProtocols: ["h2"],
    minVersion: "TLSv1.2",
    // The pin below takes the place of a chain of trust.
    rejectUnauthorized: false,
  });
  const secured = within({ signal }, () => {
    return new Promise<TLSSocket>((resolve, reject) => {
      const fail = (cause?: Error) => reject(tlsFailed(cause));
      socket.on("error", fail);
      socket.on("close", () => fail());
      socket.once("secureConnect", () => {
        if (!socket.getPeerX509Certificate()?.raw.equals(tls.pluginCertificate)) return reject(notPinned());
        // gRPC runs on HTTP/2 only; servers from grpc-go 1.67 on insist on the name.
        if (socket.alpnProtocol !== "h2") return reject(tlsFailed(undefined, " without choosing HTTP/2"));
        resolve(socket);
      });
    });
  });
  return secured.catch((failure) => {
    socket.destroy();
    stream.destroy();
    throw failure;
  });
}

function tlsFailed(cause: Error | undefined, how = ""): PluginError {
  const said = cause ? `: ${cause.message}` : "";
  return new PluginError("handshake-failed", `The TLS handshake with the plugin ended${how}${said}.`, {
    cause,
    hint: "A plugin that refuses our certificate may have a clock that is more than a day behind this machine's.",
  });
}

function notPinned(): PluginError {
  return new PluginError(
    "handshake-failed",
    "Somebody else answers at the plugin's address: the certificate is not the one of its handshake line.",
  );
}
