import type { ParsedKey } from "ssh2";
import { algorithmList } from "./algorithm-list.ts";
import { KEY_ALGORITHMS } from "./key-algorithms.ts";

/** A way to sign with an RSA key, of which there are several for the same key (RFC 8332). */
export interface SignatureAlgorithm {
  readonly name: string;
  readonly hash: "sha1" | "sha256" | "sha512";
}

/** In OpenSSH's order of preference; the last one only where it is named. */
const RSA: readonly SignatureAlgorithm[] = [
  { name: "rsa-sha2-512", hash: "sha512" },
  { name: "rsa-sha2-256", hash: "sha256" },
  { name: "ssh-rsa", hash: "sha1" },
];

/** Those of certificates and FIDO keys: OpenSSH's default has them, and such a key says by itself that it cannot be used. */
const OTHERS = /^sk-|-cert-v\d+@/;

/** What keys of one type may be used with: `"any"`, one algorithm, or nothing at all. */
export type Permission = "any" | "none" | SignatureAlgorithm;

/** Which signatures keys may be used for. */
export interface SignaturePolicy {
  /** What keys of `type`, `ssh-rsa` for example, may be used with. */
  permit(type: string): Permission;
  /** What the option names and nobody knows. */
  readonly unknown: readonly string[];
}

/**
 * The signatures that `pubkeyAcceptedAlgorithms` allows; all that ssh2 makes if nothing is said. For an RSA key the first
 * one in the list is taken; which ones a server knows is heard by ssh2 alone.
 *
 * @throws {PluginError} `config-error` if the list leaves nothing that can be done
 */
export function signaturePolicy(pubkeyAcceptedAlgorithms: string | undefined): SignaturePolicy {
  if (pubkeyAcceptedAlgorithms === undefined) return { permit: () => "any", unknown: [] };
  const { names, unknown } = algorithmList("pubkeyAcceptedAlgorithms", pubkeyAcceptedAlgorithms, KEY_ALGORITHMS);
  return {
    permit: (type) => {
      if (type !== "ssh-rsa") return names.includes(type) ? "any" : "none";
      const [first] = names.flatMap((name) => RSA.filter((algorithm) => algorithm.name === name));
      if (!first) return "none";
      // ssh2 prefers the others by itself where the server knows them, and takes this one where it knows none.
      return first.name === "ssh-rsa" ? "any" : first;
    },
    unknown: unknown.filter((name) => !OTHERS.test(name)),
  };
}

/**
 * `key` under the name of a signature algorithm, and signing with no other: ssh2 chooses by itself among those of a key
 * that calls itself `ssh-rsa`, and takes any other name for the algorithm.
 */
export function namedAfter({ name, hash }: SignatureAlgorithm, key: ParsedKey): ParsedKey {
  return Object.create(key, {
    type: { value: name },
    sign: { value: (data: Buffer) => key.sign(data, hash) },
  }) as ParsedKey;
}
