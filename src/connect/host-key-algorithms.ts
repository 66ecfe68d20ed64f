import { algorithmList } from "./algorithm-list.ts";
import { keyTypeOf } from "./host-key.ts";
import { KEY_ALGORITHMS } from "./key-algorithms.ts";
import type { KnownHostKey, KnownHosts } from "./known-hosts.ts";

/** The host key algorithms that one connection may offer. */
export interface OfferedHostKeys {
  /** Best first. */
  readonly names: readonly string[];
  /** What was asked for and cannot be done. */
  readonly unknown: readonly string[];
  /** Whether the order is the caller's, whatever is on record. */
  readonly isFixed: boolean;
}

/**
 * Reads the option `hostKeyAlgorithms`. As with OpenSSH, a whole list and one with `^` are meant as they are; where
 * the default is only changed with `+` or `-`, the types on record go first.
 *
 * @throws {PluginError} `config-error` if nothing is left to offer
 */
export function offeredHostKeys(option: string | undefined): OfferedHostKeys {
  if (option === undefined) return { names: KEY_ALGORITHMS.defaults, unknown: [], isFixed: false };
  const list = algorithmList("hostKeyAlgorithms", option, KEY_ALGORITHMS);
  return { ...list, isFixed: !/^[+-]/.test(option) };
}

/**
 * The server host key algorithms to offer, in order: those whose keys are on record first, so that a server with
 * several keys shows the one we know. Nothing is added to `supported` and nothing removed. With a key on record for
 * the very first of `supported`, the list stays as it is: then it does not tell an onlooker what we know.
 *
 * Same as OpenSSH's `order_hostkeyalgs`; beyond it, records of the bare host name count for a port that has none of
 * its own, because they may vouch for the key.
 *
 * @param supported the algorithms that can be used, best first
 */
export function hostKeyAlgorithms(known: KnownHosts, supported: readonly string[]): string[] {
  const own = typesOf(known.keys);
  const types = own.size > 0 ? own : typesOf(known.keysWithoutPort);
  const isKnown = (algorithm: string) => types.has(keyTypeOf(algorithm));
  if (supported.slice(0, 1).some(isKnown)) return [...supported];
  return [...supported.filter(isKnown), ...supported.filter((algorithm) => !isKnown(algorithm))];
}

/** The types of the plain keys on record; one whose first key is revoked does not count, as with OpenSSH. */
function typesOf(records: readonly KnownHostKey[]): Set<string> {
  const revoked = records.filter(({ marker }) => marker === "revoked");
  const plain = records.filter(({ marker }) => marker === "none");
  const first = plain.filter(({ type }, index) => plain.findIndex((other) => other.type === type) === index);
  return new Set(first.filter(({ key }) => !revoked.some((other) => other.key.equals(key))).map(({ type }) => type));
}
