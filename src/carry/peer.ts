import type { Duplex } from "node:stream";
import { PluginError } from "../contract/errors.ts";
import { secure } from "../dial/secure.ts";
import { secureAsServer } from "../dial/secure-as-server.ts";
import type { Certificate } from "../handshake/certificates.ts";

/** One of the two sides, and how it proves who it is. */
export interface Peer {
  readonly name: "host" | "plugin";
  /** Its certificate, as DER; `undefined` if there is no TLS. */
  readonly certificate: Buffer | undefined;
}

/**
 * The stream as it is to be read, if it is `peer` who has connected.
 *
 * @throws {PluginError} `handshake-failed` if it is somebody else; `stream` is destroyed then
 */
export function welcome(stream: Duplex, peer: Peer, own: Own, signal: AbortSignal): Promise<Duplex> {
  return secured(secureAsServer, stream, peer, own, signal);
}

/** The same, if `peer` is the one that answers at the other end. */
export function greet(stream: Duplex, peer: Peer, own: Own, signal: AbortSignal): Promise<Duplex> {
  return secured(secure, stream, peer, own, signal);
}

/** How we prove who we are, and what is spoken inside of TLS. */
export interface Own {
  readonly certificate: Certificate | undefined;
  readonly protocol: "grpc" | "netrpc";
}

async function secured(
  how: typeof secure,
  stream: Duplex,
  { name, certificate: theirs }: Peer,
  { certificate, protocol }: Own,
  signal: AbortSignal,
): Promise<Duplex> {
  if (!certificate || !theirs) return stream.on("error", () => {});
  const { certificatePem, privateKeyPem } = certificate;
  const tls = { certificatePem, privateKeyPem, pluginCertificate: theirs, protocol };
  try {
    const socket = await how(stream, tls, signal);
    // In this order: the other one crashes Node where it is the server.
    return socket.once("close", () => stream.destroy());
  } catch (failure) {
    if (name === "plugin" || !(failure instanceof PluginError) || failure.code !== "handshake-failed") throw failure;
    throw new PluginError("handshake-failed", "The TLS handshake with the host did not succeed.", {
      hint: "Only the host whose certificate was in PLUGIN_CLIENT_CERT may connect.",
      cause: failure,
    });
  }
}
