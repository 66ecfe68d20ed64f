import ssh2, { type ParsedKey } from "ssh2";

const BEGIN = "-----BEGIN OPENSSH PRIVATE KEY-----";
const MAGIC = "openssh-key-v1\0";

/**
 * The public half of a private key in OpenSSH's own format, where it can be read without the passphrase. `undefined` for
 * other formats.
 */
export function lockedPublicHalf(data: Buffer): ParsedKey | undefined {
  const text = data.toString("latin1").trim();
  if (!text.startsWith(BEGIN)) return undefined;
  const [base64 = ""] = text.slice(BEGIN.length).split("-----END");
  const bytes = Buffer.from(base64, "base64");
  if (bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return undefined;
  // The cipher, how the passphrase makes its key, and the settings of that; then the number of keys, which is one.
  let at = MAGIC.length;
  for (let skipped = 0; skipped < 3; skipped += 1) at = endOfString(bytes, at);
  const blob = stringAt(bytes, at + 4);
  const type = blob && stringAt(blob, 0)?.toString("latin1");
  if (!blob || !type || bytes.length < at + 4 || bytes.readUInt32BE(at) !== 1) return undefined;
  const key = ssh2.utils.parseKey(`${type} ${blob.toString("base64")}`);
  return key instanceof Error ? undefined : key;
}

/** A string with its length in front, if all of it is there. */
function stringAt(bytes: Buffer, at: number): Buffer | undefined {
  const end = endOfString(bytes, at);
  return end <= bytes.length ? bytes.subarray(at + 4, end) : undefined;
}

/** Where the string that begins at `at` ends; beyond the end of `bytes` if it is cut off. */
function endOfString(bytes: Buffer, at: number): number {
  return at + 4 <= bytes.length ? at + 4 + bytes.readUInt32BE(at) : Number.POSITIVE_INFINITY;
}
