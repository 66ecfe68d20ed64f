import { createHmac, randomBytes } from "node:crypto";

/** The length of an HMAC-SHA1, and of the salt that goes with it. */
const SALT_BYTES = 20;

/**
 * Whether `name` is meant by `hashed`, a host name that was hidden as `|1|salt|hmac` (OpenSSH's `HashKnownHosts`).
 * `undefined` if it is not of that form.
 *
 * @param name in lower case, because that is how names are hashed
 */
export function matchesHash(name: string, hashed: string): boolean | undefined {
  const [, salt] = /^\|1\|([^|]+)\|/.exec(hashed) ?? [];
  if (salt === undefined) return undefined;
  const key = Buffer.from(salt, "base64");
  if (key.length !== SALT_BYTES || key.toString("base64") !== salt) return undefined;
  return hashed === hashedWith(key, name);
}

/** `name` hidden as `|1|salt|hmac`, another time in another way. */
export function hashHost(name: string): string {
  return hashedWith(randomBytes(SALT_BYTES), name);
}

function hashedWith(salt: Buffer, name: string): string {
  return `|1|${salt.toString("base64")}|${createHmac("sha1", salt).update(name).digest("base64")}`;
}
