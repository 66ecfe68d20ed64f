import { hostKeyType } from "./host-key.ts";
import type { KnownHostKey, KnownHosts } from "./known-hosts.ts";

/** What the records say about a key that a server showed. */
export type HostKeyVerdict =
  /** The very key is on record. */
  | { readonly is: "known"; readonly by: KnownHostKey }
  /** Nothing is on record, or nothing but certificate authorities. */
  | { readonly is: "unknown"; readonly authority: KnownHostKey | undefined }
  /** Only other keys are on record: those of the same type first. */
  | { readonly is: "changed"; readonly by: readonly [KnownHostKey, ...KnownHostKey[]] }
  /** The key is marked `@revoked`. */
  | { readonly is: "revoked"; readonly by: KnownHostKey };

/**
 * Judges `key` by what is on record for its host. Revoked goes before all else, then a match in any file, then any
 * other plain key, of whatever type: a server that no longer shows a type on record may be someone else. A
 * `@cert-authority` line never stands for a plain key.
 *
 * A port other than 22 that has no record of its own is vouched for by a record of the bare host name. All as OpenSSH
 * does, with one exception: for such a port it trusts a key that is revoked for the bare name; we do not.
 *
 * @param key as `readHostKey` gives it
 */
export function judgeHostKey(known: KnownHosts, key: Buffer): HostKeyVerdict {
  const type = hostKeyType(key);
  const revoked = find([...known.keys, ...known.keysWithoutPort], "revoked", key);
  if (revoked) return { is: "revoked", by: revoked };

  const match = find(known.keys, "none", key);
  if (match) return { is: "known", by: match };

  const others = known.keys.filter(({ marker }) => marker === "none");
  const [first, ...rest] = [...others.filter((on) => on.type === type), ...others.filter((on) => on.type !== type)];
  if (first) return { is: "changed", by: [first, ...rest] };

  const voucher = find(known.keysWithoutPort, "none", key);
  if (voucher) return { is: "known", by: voucher };
  return { is: "unknown", authority: known.keys.find(({ marker }) => marker === "cert-authority") };
}

/** The first record of exactly `key` with that marker. */
function find(records: readonly KnownHostKey[], marker: KnownHostKey["marker"], key: Buffer): KnownHostKey | undefined {
  return records.find((record) => record.marker === marker && record.key.equals(key));
}
