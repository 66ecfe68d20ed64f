import { access, readFile } from "node:fs/promises";
import type { ConnectOptions } from "../connect-options.ts";
import { expandHome, identityFiles } from "../identity-files.ts";
import type { Configuration } from "./config-values.ts";

/**
 * What is asked for and `ssh2` cannot do, a phrase each: what the configuration names, and key files that are not what
 * `ssh2` can use. Never rejects.
 *
 * @param options as the connection will be made, with what the configuration says
 */
export async function openSshNeeds(configuration: Configuration, options: ConnectOptions): Promise<string[]> {
  const isSet = (keyword: string) => {
    const value = configuration.one(keyword);
    return value !== undefined && !["no", "false", "none"].includes(value.toLowerCase());
  };
  const named = [
    "CertificateFile",
    "PKCS11Provider",
    "SecurityKeyProvider",
    "KnownHostsCommand",
    "RevokedHostKeys",
    "HostbasedAuthentication",
    "ProxyUseFdpass",
  ].filter(isSet);
  const isTried = options.preferredAuthentications?.includes("gssapi") ?? true;
  if (isTried && isSet("GSSAPIAuthentication") && (await hasKerberosCredentials())) named.push("GSSAPIAuthentication");
  return [...named, ...(await specialKeys(options))];
}

/** Key files with a certificate beside them, and those of FIDO tokens. */
async function specialKeys(options: ConnectOptions): Promise<string[]> {
  const files = identityFiles(options).map(({ file }) => file);
  const found = await Promise.all(
    files.map(async (file) => {
      if (await exists(`${file}-cert.pub`)) return [`the certificate ${file}-cert.pub`];
      const text = await readFile(`${file}.pub`, "utf8").catch(() => "");
      return /^sk-(ssh|ecdsa)-/.test(text) ? [`the FIDO key ${file}`] : [];
    }),
  );
  return found.flat();
}

/** Whether this account has logged in to Kerberos, as far as can be seen without asking it. */
async function hasKerberosCredentials(): Promise<boolean> {
  const named = process.env.KRB5CCNAME;
  if (named && !/^(FILE:|DIR:|\/)/.test(named)) return true;
  const file = named?.replace(/^(FILE|DIR):+/, "") || `/tmp/krb5cc_${process.getuid?.()}`;
  return exists(expandHome(file));
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}
