import { readFile, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import ssh2, { type ParsedKey } from "ssh2";
import type { ConnectOptions } from "./connect-options.ts";
import { lockedPublicHalf } from "./locked-public-half.ts";

/** What OpenSSH tries too, as far as ssh2 can use it. */
const DEFAULT_NAMES = ["id_ed25519", "id_ecdsa", "id_rsa"];
/** What OpenSSH tries besides: the keys of FIDO tokens. */
const FIDO_NAMES = ["id_ecdsa_sk", "id_ed25519_sk"];
/** A private key of ours that our group or the world can read is refused, as OpenSSH does. */
const TOO_OPEN = 0o077;

/** A key file that is to be tried: `explicit` if the caller named it, so that its absence is worth a word. */
export interface IdentityFile {
  file: string;
  explicit: boolean;
}

/** The key files to try, in order. */
export function identityFiles({ identityFile }: ConnectOptions): IdentityFile[] {
  if (identityFile === undefined) {
    return DEFAULT_NAMES.map((name) => ({ file: defaultFile(name), explicit: false }));
  }
  const files = typeof identityFile === "string" ? [identityFile] : identityFile;
  return files.map((file) => ({ file: expandHome(file), explicit: true }));
}

/** Key files that OpenSSH tries without being told to, and ssh2 cannot use. */
export function defaultFidoFiles(): string[] {
  return FIDO_NAMES.map(defaultFile);
}

/** `~/x` → the home directory's `x`; anything else stays. */
export function expandHome(file: string): string {
  return file.startsWith("~/") ? join(homedir(), file.slice(2)) : file;
}

/** The public half of a key file, without a passphrase: of the `.pub` beside it or of the file itself. */
export async function publicHalf(file: string): Promise<ParsedKey | undefined> {
  for (const name of [`${file}.pub`, file]) {
    const data = await readFile(name).catch(() => undefined);
    const key = data && parse(data);
    if (key !== undefined && !(key instanceof Error)) return key;
    const locked = data && lockedPublicHalf(data);
    if (locked) return locked;
  }
  return undefined;
}

/** What a key file holds: a key, a key under a passphrase, or nothing to use, in words for the list of what was tried. */
export type KeyFile = { key: ParsedKey } | { locked: Buffer } | { why: string; missing?: boolean };

/** Reads a private key. Never rejects. */
export async function readKeyFile(file: string): Promise<KeyFile> {
  let data: Buffer;
  let tooOpen: string | undefined;
  try {
    data = await readFile(file);
    tooOpen = await openPermissions(file);
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    return { why: `it cannot be read (${code})`, missing: code === "ENOENT" };
  }
  const plain = parse(data);
  const encrypted = plain instanceof Error && /encrypted/i.test(plain.message);
  if (plain instanceof Error && !encrypted) {
    return { why: `it is no private key that ssh2 can use (${plain.message})` };
  }
  if (!(plain instanceof Error) && !plain.isPrivateKey()) return { why: "it holds a public key, not the private one" };
  if (tooOpen !== undefined) return { why: `its permissions ${tooOpen} are too open; try \`chmod 600\`` };
  return plain instanceof Error ? { locked: data } : { key: plain };
}

/**
 * Opens what {@link readKeyFile} found locked; asks again if the passphrase was wrong. Rejects only with what
 * `passphrase` throws.
 *
 * @param tries how often to ask; the same answer once more ends it before
 */
export async function unlockKey(
  locked: Buffer,
  passphrase: () => Promise<string | undefined>,
  tries: number,
): Promise<{ key: ParsedKey } | { why: string }> {
  let previous: string | undefined;
  for (let left = tries; left > 0; left -= 1) {
    const secret = await passphrase();
    if (secret === undefined || secret === previous) break;
    const opened = parse(locked, secret);
    if (!(opened instanceof Error)) return { key: opened };
    previous = secret;
  }
  return {
    why: previous === undefined ? "it is encrypted and there was no passphrase" : "the passphrase is wrong",
  };
}

function defaultFile(name: string): string {
  return join(homedir(), ".ssh", name);
}

/** The file's permissions, if others may read it and it is ours. What belongs to somebody else is not ours to mend. */
async function openPermissions(file: string): Promise<string | undefined> {
  const { mode, uid } = await stat(file);
  if (process.getuid?.() !== uid || (mode & TOO_OPEN) === 0) return undefined;
  return `0${(mode & 0o777).toString(8)}`;
}

function parse(data: Buffer, passphrase?: string): ParsedKey | Error {
  const parsed = ssh2.utils.parseKey(data, passphrase) as ParsedKey | ParsedKey[] | Error;
  return Array.isArray(parsed) ? (parsed[0] ?? new TypeError("it is empty")) : parsed;
}
