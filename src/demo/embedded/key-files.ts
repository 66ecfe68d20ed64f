import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Where the files are that an SSH client needs. */
export interface KeyFiles {
  /** A private directory that holds nothing else. */
  readonly directory: string;
  /** The client's private key. */
  readonly identityFile: string;
  /** Vouches for the server's key. */
  readonly knownHostsFile: string;
}

/** Writes the client's key and a known_hosts file into a fresh directory that only the current user can enter. */
export async function writeKeyFiles(privateKey: string, knownHosts: string): Promise<KeyFiles> {
  const directory = await mkdtemp(join(tmpdir(), "gps-embedded-"));
  const files = {
    directory,
    identityFile: join(directory, "id_ed25519"),
    knownHostsFile: join(directory, "known_hosts"),
  };
  await writeFile(files.identityFile, privateKey, { mode: 0o600 });
  await writeFile(files.knownHostsFile, knownHosts, { mode: 0o600 });
  return files;
}
