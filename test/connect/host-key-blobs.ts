import { generateKeyPairSync, type KeyObject } from "node:crypto";

/** A new ed25519 public key, as it travels. */
export function ed25519(): Buffer {
  return blob("ssh-ed25519", field(generateKeyPairSync("ed25519").publicKey, "x"));
}

/** A new ECDSA public key on P-256, P-384 or P-521. */
export function ecdsa(size: 256 | 384 | 521 = 256): Buffer {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: `P-${size}` });
  const point = Buffer.concat([Buffer.from([4]), field(publicKey, "x"), field(publicKey, "y")]);
  return blob(`ecdsa-sha2-nistp${size}`, Buffer.from(`nistp${size}`), point);
}

/** A new RSA public key. */
export function rsa(modulusLength = 2048): Buffer {
  const { publicKey } = generateKeyPairSync("rsa", { modulusLength });
  return blob("ssh-rsa", number(field(publicKey, "e")), number(field(publicKey, "n")));
}

/** Strings with their lengths in front, `type` first. */
export function blob(type: string, ...parts: Buffer[]): Buffer {
  return Buffer.concat(
    [Buffer.from(type), ...parts].flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}

/** The two words for `key` in a known_hosts line. */
export function words(key: Buffer): string {
  return `${key.subarray(4, 4 + key.readUInt32BE()).toString()} ${key.toString("base64")}`;
}

function field(key: KeyObject, name: "x" | "y" | "e" | "n"): Buffer {
  return Buffer.from(String(key.export({ format: "jwk" })[name]), "base64url");
}

/** A number with a zero in front if it would look negative. */
function number(bytes: Buffer): Buffer {
  return (bytes[0] ?? 0) < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes]);
}
