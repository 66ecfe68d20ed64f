import { access, readFile } from "node:fs/promises";
import type { ConnectOptions } from "../connect-options.ts";
import type { Target } from "../destination.ts";
import { defaultFidoFiles, expandHome, identityFiles } from "../identity-files.ts";
import { readKnownHosts } from "../known-hosts.ts";
import { knownHostsFiles } from "../known-hosts-files.ts";
import type { Configuration } from "./config-values.ts";

/**
 * What is asked for and `ssh2` cannot do, a phrase each: what the configuration names, key files that are not what
 * `ssh2` can use, and an authority that alone vouches for the host's keys.
 *
 * @param options as the connection will be made, with what the configuration says
 * @throws {PluginError} `bad-options` if no known_hosts line could be about that host; `aborted` or `timeout`
 */
export async function openSshNeeds(
  configuration: Configuration,
  target: Target,
  options: ConnectOptions,
  signal: AbortSignal | undefined,
): Promise<string[]> {
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
  const [keys, hostKeys] = await Promise.all([specialKeys(options), authority(target, options, signal)]);
  return [...named, ...keys, ...hostKeys];
}

/** The authority that vouches for the keys of a host of which no key is on record by itself. */
async function authority(
  { host, port }: Target,
  options: ConnectOptions,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const { hostKeyAlias, hostKeyFingerprints } = options;
  if (hostKeyFingerprints) return [];
  const known = await readKnownHosts({ host, port, hostKeyAlias, ...knownHostsFiles(options) }, signal);
  if ([...known.keys, ...known.keysWithoutPort].some(({ marker }) => marker === "none")) return [];
  const found = known.keys.find(({ marker }) => marker === "cert-authority");
  return found ? [`the certificate authority in ${found.file} line ${found.line}`] : [];
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
  return found.flat().length > 0 || options.identityFile !== undefined ? found.flat() : fidoKeyAlone(files);
}

/** The FIDO key of an account that has no other key where keys are looked for without being named. */
async function fidoKeyAlone(others: readonly string[]): Promise<string[]> {
  if ((await existing(others)).length > 0) return [];
  const [file] = await existing(defaultFidoFiles());
  return file === undefined ? [] : [`the FIDO key ${file}`];
}

async function existing(files: readonly string[]): Promise<string[]> {
  const there = await Promise.all(files.map(exists));
  return files.filter((_file, index) => there[index]);
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
