import { createHmac } from "node:crypto";

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
  return hashed === `|1|${salt}|${createHmac("sha1", key).update(name).digest("base64")}`;
}
