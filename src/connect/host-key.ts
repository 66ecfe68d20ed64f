import { createHash, ECDH } from "node:crypto";
import { PluginError } from "../contract/errors.ts";

/** OpenSSH refuses to read RSA keys with fewer bits (`SSH_RSA_MINIMUM_MODULUS_SIZE`). */
const RSA_MIN_BITS = 1024;

/** What follows the type in a key, part by part: put into its one proper form, or `undefined` if it does not fit. */
type Read = (parts: readonly Buffer[]) => readonly Buffer[] | undefined;

/** The key types that may stand in a known_hosts file. */
const TYPES: Record<string, Read> = {
  "ssh-ed25519": (parts) => (parts.length === 1 && isPoint25519(parts[0]) ? parts : undefined),
  "ecdsa-sha2-nistp256": (parts) => (isOnCurve(parts, "nistp256", "prime256v1") ? parts : undefined),
  "ecdsa-sha2-nistp384": (parts) => (isOnCurve(parts, "nistp384", "secp384r1") ? parts : undefined),
  "ecdsa-sha2-nistp521": (parts) => (isOnCurve(parts, "nistp521", "secp521r1") ? parts : undefined),
  "ssh-rsa": (parts) => {
    const [exponent, modulus, ...rest] = numbers(parts) ?? [];
    return exponent && modulus && rest.length === 0 && bits(modulus) >= RSA_MIN_BITS ? [exponent, modulus] : undefined;
  },
  "ssh-dss": (parts) => (parts.length === 4 ? numbers(parts) : undefined),
  "sk-ssh-ed25519@openssh.com": (parts) => (parts.length === 2 && isPoint25519(parts[0]) ? parts : undefined),
  "sk-ecdsa-sha2-nistp256@openssh.com": (parts) =>
    parts.length === 3 && isOnCurve(parts.slice(0, 2), "nistp256", "prime256v1") ? parts : undefined,
};

/** The type of the key that proves itself with `algorithm`: `ssh-rsa` for `rsa-sha2-512` (RFC 8332). */
export function keyTypeOf(algorithm: string): string {
  return /^rsa-sha2-(256|512)$/.test(algorithm) ? "ssh-rsa" : algorithm;
}

/**
 * `key`, a public key as a server sent it, in its one proper form: numbers may come with zeros in front, which OpenSSH
 * neither compares nor counts in a fingerprint.
 *
 * @throws {PluginError} `connect-failed` if it is no whole public key of a type we know
 */
export function readHostKey(key: Buffer): Buffer {
  const proper = normalize(key);
  if (proper) return proper;
  throw new PluginError("connect-failed", "The server showed a host key that cannot be read.", {
    hint: "Ask who runs the server which host keys it has; ed25519, ECDSA and RSA keys are understood.",
  });
}

/** The type that is written inside a key that {@link readHostKey} or {@link decodeHostKey} gave. */
export function hostKeyType(key: Buffer): string {
  return split(key)?.[0]?.toString("latin1") ?? "";
}

/** The SHA256 fingerprint of `key`, as `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** The key that a known_hosts line spells as `type` and `base64`, or `undefined` if the two do not make one. */
export function decodeHostKey(type: string, base64: string): Buffer | undefined {
  // A carriage return at the line's end does no harm in OpenSSH either.
  const text = base64.replace(/[\r\v\f]/g, "");
  const bytes = Buffer.from(text, "base64");
  const key = bytes.toString("base64") === text ? normalize(bytes) : undefined;
  return key && hostKeyType(key) === keyTypeOf(type) ? key : undefined;
}

/** The key in its proper form, or `undefined` if it is none. */
function normalize(key: Buffer): Buffer | undefined {
  const [name = Buffer.alloc(0), ...parts] = split(key) ?? [];
  const type = name.toString("latin1");
  const proper = Object.hasOwn(TYPES, type) ? TYPES[type]?.(parts) : undefined;
  return proper && unsplit([name, ...proper]);
}

/** The strings, each with its length in front, that `key` is made of; `undefined` if something is left over. */
function split(key: Buffer): Buffer[] | undefined {
  const parts: Buffer[] = [];
  let at = 0;
  while (at + 4 <= key.length) {
    const end = at + 4 + key.readUInt32BE(at);
    if (end > key.length) return undefined;
    parts.push(key.subarray(at + 4, end));
    at = end;
  }
  return at === key.length ? parts : undefined;
}

/** The reverse of {@link split}. */
function unsplit(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(
    parts.flatMap((part) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(part.length);
      return [length, part];
    }),
  );
}

/** Whether `point` may be a key on Curve25519: any 32 bytes may. */
function isPoint25519(point: Buffer | undefined): boolean {
  return point?.length === 32;
}

/** Whether the parts are a curve's SSH name and an uncompressed point on it. */
function isOnCurve([ssh, point, ...rest]: readonly Buffer[], name: string, curve: string): boolean {
  if (ssh?.toString("latin1") !== name || point?.[0] !== 4 || rest.length > 0) return false;
  try {
    ECDH.convertKey(point, curve);
    return true;
  } catch {
    return false;
  }
}

/** The parts as numbers that are not negative, without needless zeros in front; `undefined` if one is negative. */
function numbers(parts: readonly Buffer[]): Buffer[] | undefined {
  if (parts.some((part) => (part[0] ?? 0) >= 0x80)) return undefined;
  return parts.map((part) => {
    const first = part.findIndex((byte) => byte !== 0);
    if (first < 0) return Buffer.alloc(0);
    return part.subarray((part[first] ?? 0) >= 0x80 ? first - 1 : first);
  });
}

/** How many bits a number has that {@link numbers} gave. */
function bits(number: Buffer): number {
  return number.length === 0 ? 0 : number.length * 8 - (Math.clz32(number[0] ?? 0) - 24);
}
