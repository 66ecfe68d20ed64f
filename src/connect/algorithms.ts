import { getCiphers, getHashes } from "node:crypto";
import type { Algorithms, CipherAlgorithm, CompressionAlgorithm, KexAlgorithm, MacAlgorithm } from "ssh2";
import { type AlgorithmChoice, algorithmList } from "./algorithm-list.ts";
import type { ConnectOptions } from "./connect-options.ts";

const KEX: AlgorithmChoice = choice(
  [
    "curve25519-sha256@libssh.org",
    "curve25519-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group15-sha512",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group17-sha512",
    "diffie-hellman-group18-sha512",
  ],
  ["diffie-hellman-group-exchange-sha1", "diffie-hellman-group14-sha1", "diffie-hellman-group1-sha1"],
);

/** Names of SSH and of OpenSSL, which may have been built without one. */
const CIPHERS: Record<string, string> = {
  "aes128-gcm@openssh.com": "aes-128-gcm",
  "aes256-gcm@openssh.com": "aes-256-gcm",
  "aes128-ctr": "aes-128-ctr",
  "aes192-ctr": "aes-192-ctr",
  "aes256-ctr": "aes-256-ctr",
  "chacha20-poly1305@openssh.com": "chacha20",
};
const OLD_CIPHERS: Record<string, string> = {
  "aes256-cbc": "aes-256-cbc",
  "aes192-cbc": "aes-192-cbc",
  "aes128-cbc": "aes-128-cbc",
  "3des-cbc": "des-ede3-cbc",
};
const MACS: Record<string, string> = {
  "hmac-sha2-256-etm@openssh.com": "sha256",
  "hmac-sha2-512-etm@openssh.com": "sha512",
  "hmac-sha1-etm@openssh.com": "sha1",
  "hmac-sha2-256": "sha256",
  "hmac-sha2-512": "sha512",
  "hmac-sha1": "sha1",
};
const OLD_MACS: Record<string, string> = {
  "hmac-md5": "md5",
  "hmac-sha1-96": "sha1",
  "hmac-md5-96": "md5",
};

/** What ssh2 can do of each kind, the defaults in its own order. */
export const TRANSPORT: Readonly<Record<"kexAlgorithms" | "ciphers" | "macs", AlgorithmChoice>> = {
  kexAlgorithms: KEX,
  ciphers: choice(had(CIPHERS, getCiphers()), had(OLD_CIPHERS, getCiphers())),
  macs: choice(had(MACS, getHashes()), had(OLD_MACS, getHashes())),
};

/**
 * What to offer for the exchange of keys and for what follows it. What the options leave open is ssh2's default.
 *
 * @param notice told of algorithms that were asked for and that ssh2 does not have
 * @throws {PluginError} `config-error` for a list that leaves nothing to offer
 */
export function transportAlgorithms(
  { kexAlgorithms, ciphers, macs, compression }: ConnectOptions,
  notice: (text: string) => void,
): Algorithms {
  const list = <T>(option: keyof typeof TRANSPORT, text: string): T[] => {
    const { names, unknown } = algorithmList(option, text, TRANSPORT[option]);
    if (unknown.length > 0) notice(`ssh2 does not have ${unknown.join(", ")}, which \`${option}\` names.`);
    return names as T[];
  };
  const compress: CompressionAlgorithm[] = ["zlib@openssh.com", "zlib", "none"];
  return {
    ...(kexAlgorithms !== undefined && { kex: list<KexAlgorithm>("kexAlgorithms", kexAlgorithms) }),
    ...(ciphers !== undefined && { cipher: list<CipherAlgorithm>("ciphers", ciphers) }),
    ...(macs !== undefined && { hmac: list<MacAlgorithm>("macs", macs) }),
    ...(compression && { compress }),
  };
}

function choice(defaults: readonly string[], more: readonly string[]): AlgorithmChoice {
  return { defaults, supported: [...defaults, ...more] };
}

function had(names: Record<string, string>, there: readonly string[]): string[] {
  return Object.keys(names).filter((name) => there.includes(names[name] as string));
}
