import type { ServerHostKeyAlgorithm } from "ssh2";

/** What ssh2 can verify and sign with, in OpenSSH's order of preference. Both kinds of RSA with SHA-1 and DSA are left out. */
const DEFAULTS = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
] as const satisfies readonly ServerHostKeyAlgorithm[];

/** The algorithms of keys, those of servers and those of users alike; `ssh-rsa` and `ssh-dss` only where they are asked for. */
export const KEY_ALGORITHMS = {
  defaults: DEFAULTS,
  supported: [...DEFAULTS, "ssh-rsa", "ssh-dss"],
} as const satisfies Record<string, readonly ServerHostKeyAlgorithm[]>;
