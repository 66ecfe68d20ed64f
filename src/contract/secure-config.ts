import { PluginError } from "./errors.ts";

/** How long a digest is, in bytes: what `sha1sum` and its kin, `shasum` and `openssl dgst` all know. */
const DIGEST_BYTES = { sha1: 20, sha256: 32, sha384: 48, sha512: 64 } as const;

/** The hash functions by which a plugin's file can be known. */
export type HashName = keyof typeof DIGEST_BYTES;

/**
 * Which file the plugin must be. Same as go-plugin's `SecureConfig`: the program's file alone counts, not what it loads,
 * and it is read before it is started, so whoever may replace the file can do so in between.
 */
export interface SecureConfig {
  /** The digest of the right file, in bytes. Not a secret. */
  checksum: Uint8Array;
  /** By which function it was made. */
  hash: HashName;
}

/**
 * A checked copy of a {@link SecureConfig}, which stays what it is when the original is changed.
 *
 * @throws {PluginError} `bad-options`, with go-plugin's texts where it has any
 */
export function checkSecureConfig(secureConfig: unknown): SecureConfig {
  if (typeof secureConfig !== "object" || secureConfig === null) {
    throw new PluginError("bad-options", "`secureConfig` must be an object with `checksum` and `hash`.");
  }
  const { checksum, hash, ...others }: { checksum?: unknown; hash?: unknown } = secureConfig;
  const [other] = Object.keys(others);
  if (other !== undefined) throw new PluginError("bad-options", `\`secureConfig\` has no ${JSON.stringify(other)}.`);
  if (checksum === undefined || (checksum instanceof Uint8Array && checksum.length === 0)) {
    throw new PluginError("bad-options", "error verifying checksum: no checksum provided", {
      hint: 'Give the digest as bytes, for example `Buffer.from("9f86d0…", "hex")`.',
    });
  }
  if (typeof hash !== "string" || !isHashName(hash)) {
    throw new PluginError("bad-options", "error verifying checksum: no hash implementation provided", {
      hint: `\`hash\` must be one of ${Object.keys(DIGEST_BYTES).join(", ")}, not ${JSON.stringify(hash)}.`,
    });
  }
  const bytes = DIGEST_BYTES[hash];
  if (!(checksum instanceof Uint8Array) || checksum.length !== bytes) {
    const given = checksum instanceof Uint8Array ? `${checksum.length} bytes` : `a ${typeof checksum}`;
    throw new PluginError("bad-options", `\`checksum\` must be the ${bytes} bytes of a ${hash} digest, not ${given}.`, {
      hint: 'A digest in hexadecimal becomes bytes with `Buffer.from(text, "hex")`.',
    });
  }
  return { checksum: Uint8Array.from(checksum), hash };
}

function isHashName(name: string): name is HashName {
  return Object.hasOwn(DIGEST_BYTES, name);
}
