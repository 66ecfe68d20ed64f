import { X509Certificate } from "node:crypto";
import type { SecureContextOptions, TLSSocket } from "node:tls";
import { PluginError } from "../contract/errors.ts";
import type { Http2LinkOptions } from "./http2-link.ts";

/** The two ends of a go-plugin AutoMTLS connection, as the host sees them. */
export interface MutualTls {
  /** Our own certificate, which the plugin was given in `PLUGIN_CLIENT_CERT`. */
  readonly certificatePem: string;
  readonly privateKeyPem: string;
  /** The plugin's certificate, from its handshake line. */
  readonly pluginCertificate: Buffer;
  /** What is spoken inside. net/rpc has no name in TLS. @default "grpc" */
  readonly protocol?: "grpc" | "netrpc" | undefined;
}

/**
 * Certificates of the application's own, for plugins that bring theirs. Same as go-plugin's `ClientConfig.TLSConfig`;
 * all of it is checked by the rules of TLS: chain, dates, name.
 */
export interface OwnTls {
  /** Who vouches for the plugin: one or more certificates, as PEM. */
  readonly ca: string | Buffer | readonly (string | Buffer)[];
  /** Our own certificate, as PEM, with the ones between it and the plugin's trust, if any. */
  readonly cert: string | Buffer;
  /** Its private key, as PEM. */
  readonly key: string | Buffer;
  /** Opens an encrypted private key. */
  readonly passphrase?: string | undefined;
  /** The name that the plugin's certificate must be for. @default "localhost" */
  readonly servername?: string | undefined;
  /** @default "TLSv1.2" */
  readonly minVersion?: "TLSv1.2" | "TLSv1.3" | undefined;
  /** In OpenSSL's words. @default Node's list */
  readonly ciphers?: string | undefined;
  /** Lists of revoked certificates, as PEM. */
  readonly crl?: string | Buffer | readonly (string | Buffer)[] | undefined;
}

/** How connections with a plugin are protected, in both directions. */
export type PluginTls = MutualTls | OwnTls;

/** go-plugin's name for everybody. */
const SERVER_NAME = "localhost";

/** Whether these are the certificates of AutoMTLS. */
export function isMutual(tls: PluginTls): tls is MutualTls {
  return "pluginCertificate" in tls;
}

/** What we offer to speak inside, in TLS's words. */
export function alpnOf(tls: PluginTls): { ALPNProtocols?: string[] } {
  return speaksNetRpc(tls) ? {} : { ALPNProtocols: ["h2"] };
}

function speaksNetRpc(tls: PluginTls): boolean {
  return isMutual(tls) && tls.protocol === "netrpc";
}

/** The name that the plugin's certificate is for. */
export function serverNameOf(tls: PluginTls): string {
  return isMutual(tls) ? SERVER_NAME : (tls.servername ?? SERVER_NAME);
}

/** The origin of all requests. Servers that check it expect the certificate's name, and no socket path. */
export function authorityOf(tls: PluginTls | undefined): string {
  return tls ? `https://${serverNameOf(tls)}` : `http://${SERVER_NAME}`;
}

/** What both roles of TLS have in common. */
export function secureContextOf(tls: PluginTls): SecureContextOptions {
  if (isMutual(tls)) {
    const { certificatePem: cert, privateKeyPem: key, pluginCertificate } = tls;
    // As a server we name whom we trust: clients may choose their certificate by that.
    const ca = new X509Certificate(pluginCertificate).toString();
    return { cert, key, ca, minVersion: "TLSv1.2" };
  }
  const { ca, cert, key, passphrase, minVersion = "TLSv1.2", ciphers, crl } = tls;
  return {
    ca: typeof ca === "string" || Buffer.isBuffer(ca) ? ca : [...ca],
    cert,
    key,
    minVersion,
    ...(passphrase === undefined ? {} : { passphrase }),
    ...(ciphers === undefined ? {} : { ciphers }),
    ...(crl === undefined ? {} : { crl: typeof crl === "string" || Buffer.isBuffer(crl) ? crl : [...crl] }),
  };
}

/**
 * What is wrong with the peer of a TLS handshake that has succeeded; `undefined` if it may be spoken to.
 *
 * With AutoMTLS this pin takes the place of chain, dates and name: the very certificate came with the handshake line,
 * and the clocks of two machines may differ.
 */
export function refusalOf(socket: TLSSocket, tls: PluginTls): PluginError | undefined {
  if (isMutual(tls) && !socket.getPeerX509Certificate()?.raw.equals(tls.pluginCertificate)) return notPinned();
  // gRPC runs on HTTP/2 only; peers from grpc-go 1.67 on insist on the name.
  return socket.alpnProtocol === "h2" || speaksNetRpc(tls)
    ? undefined
    : tlsFailed(tls, undefined, " without choosing HTTP/2");
}

/** The error for a TLS handshake that did not succeed. */
export function tlsFailed(tls: PluginTls, cause: Error | undefined, how = ""): PluginError {
  const said = cause ? `: ${cause.message}` : "";
  const hint = isMutual(tls)
    ? "A plugin that refuses our certificate may have a clock that is more than a day behind this machine's."
    : "Look at `ca`, `servername` and the dates of the certificates, and at what the plugin itself asks for.";
  return new PluginError("handshake-failed", `The TLS handshake with the plugin ended${how}${said}.`, { cause, hint });
}

/**
 * How HTTP/2 over a secured stream begins.
 *
 * With AutoMTLS the plugin has made its certificate because it was given ours, and the pin has shown that it is the one
 * which answers, so calls need not wait until it speaks. Other plugins must first say that they take us: in TLS 1.3 the
 * host has finished before the plugin looks at its certificate.
 */
export function linkOptions(tls: PluginTls | undefined): Http2LinkOptions {
  return {
    countsWhen: tls && isMutual(tls) ? "opened" : "settings",
    explain: (cause) => (tls && isAlert(cause) ? tlsFailed(tls, cause) : undefined),
  };
}

/** What the other side had against our TLS. In TLS 1.3 it comes when we believe to be done. */
function isAlert(cause: Error): boolean {
  return "code" in cause && String(cause.code).startsWith("ERR_SSL_");
}

/** The error for certificates that TLS cannot even begin with. OpenSSL's words name no secrets. */
export function tlsUnusable(cause: unknown): PluginError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new PluginError("config-error", `The certificates for TLS with the plugin cannot be used: ${said}.`, {
    cause,
    hint: "`ca`, `cert` and `key` must be PEM; `key` must belong to `cert`, and `passphrase` must open it.",
  });
}

function notPinned(): PluginError {
  return new PluginError(
    "handshake-failed",
    "Somebody else answers at the plugin's address: the certificate is not the one of its handshake line.",
  );
}
