import { X509Certificate } from "node:crypto";
import { PluginError } from "../contract/errors.ts";

/**
 * The certificate that a host gave its plugin in `PLUGIN_CLIENT_CERT`, as DER.
 *
 * @param pem the variable; empty or absent if the host wants no TLS
 * @returns `undefined` if it wants none
 * @throws {PluginError} `config-error` if it is not a certificate
 */
export function readHostCertificate(pem: string | undefined): Buffer | undefined {
  if (!pem) return undefined;
  try {
    return new X509Certificate(pem).raw;
  } catch (cause) {
    throw new PluginError("config-error", "The certificate in PLUGIN_CLIENT_CERT cannot be read.", {
      hint: "The host that starts this program sets it. A variable that was left over from another host should be unset.",
      cause,
    });
  }
}
