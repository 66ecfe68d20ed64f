import { X509Certificate } from "node:crypto";
import { startTerminatingCarry } from "../carry/terminating-carry.ts";
import { type Certificate, createCertificate, encodeCertificateField } from "../handshake/certificates.ts";
import type { Carry } from "./carry.ts";
import type { HostContract } from "./forwarded-environment.ts";
import type { HandshakeFields } from "./handshake-fields.ts";

/** TLS ends here on both sides, with one certificate of ours, and the addresses that brokers announce are rewritten. */
export function terminating({ certificatePem, variables }: HostContract, network: "unix" | "tcp"): Carry {
  // go-plugin's own curve would cost 4 ms more here, and as much again for each brokered connection.
  const certificate = certificatePem === undefined ? undefined : createCertificate({ curve: "P-256" });
  return {
    name: "terminate",
    variables: certificate ? { ...variables, PLUGIN_CLIENT_CERT: certificate.certificatePem } : variables,
    open: async ({ handshake, runner, log }, signal) => {
      const carry = await startTerminatingCarry(
        {
          pluginAddress: handshake.address,
          protocol: handshake.protocol === "netrpc" ? "netrpc" : "grpc",
          ...certificates(certificate, certificatePem, handshake),
          openPluginStream: (address, over) => runner.openStream(address, over),
          hostToPlugin: (address, over) => runner.hostToPlugin(address, over),
          hostNetwork: network,
          onWarning: (text) => log("warn", text),
        },
        signal,
      );
      return {
        address: carry.address,
        certificate: certificate && encodeCertificateField(certificate.der),
        settled: () => carry.settled(),
      };
    },
  };
}

function certificates(own: Certificate | undefined, hostPem: string | undefined, handshake: HandshakeFields) {
  if (!own || hostPem === undefined) return {};
  const hostCertificate = new X509Certificate(hostPem).raw;
  return { certificate: own, hostCertificate, pluginCertificate: handshake.certificate };
}
