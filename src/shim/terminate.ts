import { X509Certificate } from "node:crypto";
import { startTerminatingCarry } from "../carry/terminating-carry.ts";
import { PluginError } from "../contract/errors.ts";
import {
  type Certificate,
  createCertificate,
  decodeCertificateField,
  encodeCertificateField,
} from "../handshake/certificates.ts";
import type { Carry } from "./carry.ts";
import type { HostContract } from "./forwarded-environment.ts";

/**
 * TLS ends here on both sides, with one certificate of ours, and the addresses that brokers announce are rewritten.
 *
 * @throws {PluginError} `bad-options` for listeners on TCP
 */
export function terminating({ certificatePem, variables }: HostContract, network: "unix" | "tcp"): Carry {
  if (network === "tcp") {
    throw new PluginError("bad-options", "`--tcp` does not go with a connection that ends here.", {
      hint: "Leave it out, or say `--carry pass` if the host makes no use of the broker.",
    });
  }
  const certificate = certificatePem === undefined ? undefined : createCertificate();
  return {
    name: "terminate",
    variables: certificate ? { ...variables, PLUGIN_CLIENT_CERT: certificate.certificatePem } : variables,
    open: async ({ handshake, runner, log }, signal) => {
      const carry = await startTerminatingCarry(
        {
          pluginAddress: handshake.address,
          protocol: handshake.protocol === "netrpc" ? "netrpc" : "grpc",
          ...certificates(certificate, certificatePem, handshake.certificate),
          openPluginStream: (address, over) => runner.openStream(address, over),
          hostToPlugin: (address, over) => runner.hostToPlugin(address, over),
          onWarning: (text) => log("warn", text),
        },
        signal,
      );
      return { address: carry.address, certificate: certificate && encodeCertificateField(certificate.der) };
    },
  };
}

/** Shorter fields are other data of old plugins. */
const LONGEST_NON_CERTIFICATE = 50;

function certificates(own: Certificate | undefined, hostPem: string | undefined, field: string) {
  if (!own || hostPem === undefined) return {};
  const plugin = field.length > LONGEST_NON_CERTIFICATE ? decodeCertificateField(field) : undefined;
  return { certificate: own, hostCertificate: new X509Certificate(hostPem).raw, pluginCertificate: plugin };
}
