import type { Address } from "../contract/address.ts";
import { formatAddress } from "../contract/address.ts";
import { isMutual, type PluginTls, serverNameOf } from "../dial/plugin-tls.ts";
import { certificateToPem } from "../handshake/certificates.ts";

/** What `@grpc/grpc-js` needs to reach the plugin: `new KvClient(target, credentials, options)`. */
export interface GrpcTarget {
  /** `unix:/path` or `host:port`, on the host's side. */
  readonly target: string;
  /**
   * For `credentials.createSsl(rootCertificate, privateKey, certificate)`, as PEM. `undefined` without TLS: then
   * `credentials.createInsecure()`.
   *
   * grpc-js checks the certificate's dates, so the clock of the box must not be ahead of this machine's; the plugin's
   * certificate is valid from 30 seconds before its start.
   */
  readonly tls:
    | { readonly rootCertificate: Buffer; readonly privateKey: Buffer; readonly certificate: Buffer }
    | undefined;
  /** Channel options: no limit for messages, and the name that the certificate is for. */
  readonly options: Readonly<Record<string, string | number>>;
}

/** Puts together what grpc-js needs. The private key does not show when the object is printed. */
export function grpcTarget(hostAddress: Address, tls: PluginTls | undefined): GrpcTarget {
  return {
    target: `${hostAddress.network === "unix" ? "unix:" : ""}${formatAddress(hostAddress)}`,
    tls: tls && credentials(tls),
    options: {
      "grpc.default_authority": tls ? serverNameOf(tls) : "localhost",
      "grpc.max_receive_message_length": -1,
      "grpc.max_send_message_length": -1,
      ...(tls ? { "grpc.ssl_target_name_override": serverNameOf(tls) } : {}),
    },
  };
}

function credentials(tls: PluginTls) {
  const files = isMutual(tls)
    ? {
        rootCertificate: Buffer.from(certificateToPem(tls.pluginCertificate)),
        certificate: Buffer.from(tls.certificatePem),
        privateKey: Buffer.from(tls.privateKeyPem),
      }
    : {
        rootCertificate: Buffer.concat([tls.ca].flat().map((pem) => Buffer.from(`${pem}\n`))),
        certificate: Buffer.from(tls.cert),
        privateKey: Buffer.from(tls.key),
      };
  return Object.defineProperty(files, "privateKey", { enumerable: false });
}
