import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Certificate, createCertificate } from "../../src/handshake/certificates.ts";

/** TLS that the plugin brings along, in the place of AutoMTLS. Its certificate says `localhost`. */
export interface OwnTls {
  /** What `kv` is started with. It lets in only the host with the certificate below. */
  readonly flags: readonly string[];
  /** The plugin's certificate, which is its own authority. */
  readonly plugin: Certificate;
  /** The host's, with its key. */
  readonly host: Certificate;
}

/** Makes certificates for both sides, and puts those of the plugin into files in an existing directory. */
export async function createOwnTls(directory: string): Promise<OwnTls> {
  const [plugin, host] = [createCertificate(), createCertificate()];
  const files = { cert: plugin.certificatePem, key: plugin.privateKeyPem, ca: host.certificatePem };
  const flags: string[] = [];
  for (const [name, content] of Object.entries(files)) {
    const path = join(directory, `kv-${name}.pem`);
    await writeFile(path, content, { mode: 0o600 });
    flags.push(`-tls-${name}`, path);
  }
  return { flags, plugin, host };
}
