import { createHash } from "node:crypto";
import ssh2 from "ssh2";

/** What a key is made of. */
export type KeyType = "ed25519" | "rsa" | "ecdsa";

/** A fresh key, in the texts that OpenSSH uses. */
export interface KeyPair {
  /** The private half, unencrypted, in OpenSSH's format. */
  readonly privateKey: string;
  /** The public half as a line: its type and its base64. */
  readonly publicKey: string;
  /** `SHA256:` and the digest of the public half. */
  readonly fingerprint: string;
}

/**
 * Makes a fresh key.
 *
 * ssh2 1.17.0 drops a leading zero byte, which makes one ed25519 key in three hundred unreadable; such a key is thrown
 * away and another one is made.
 */
export function generateKey(type: KeyType): KeyPair {
  for (;;) {
    const pair = generate(type);
    const parsed = ssh2.utils.parseKey(pair.public);
    if (parsed instanceof Error || ssh2.utils.parseKey(pair.private) instanceof Error) continue;
    const blob = parsed.getPublicSSH();
    const digest = createHash("sha256").update(blob).digest("base64").replace(/=+$/, "");
    return {
      privateKey: pair.private,
      publicKey: `${parsed.type} ${blob.toString("base64")}`,
      fingerprint: `SHA256:${digest}`,
    };
  }
}

function generate(type: KeyType): { public: string; private: string } {
  if (type === "rsa") return ssh2.utils.generateKeyPairSync("rsa", { bits: 2048 });
  if (type === "ecdsa") return ssh2.utils.generateKeyPairSync("ecdsa", { bits: 256 });
  return ssh2.utils.generateKeyPairSync("ed25519");
}
