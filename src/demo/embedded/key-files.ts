import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { makePrivateDirectory } from "../../lifetime/private-directory.ts";

/** Where the files are that an SSH client needs. */
export interface KeyFiles {
  /** A private directory that holds nothing else. */
  readonly directory: string;
  /** The client's private key. */
  readonly identityFile: string;
  /** Vouches for the server's key. */
  readonly knownHostsFile: string;
}

/** Writes the client's key and a known_hosts file into a fresh private directory. */
export async function writeKeyFiles(privateKey: string, knownHosts: string): Promise<KeyFiles> {
  const directory = await makePrivateDirectory();
  const files = {
    directory,
    identityFile: join(directory, "id_ed25519"),
    knownHostsFile: join(directory, "known_hosts"),
  };
  await writeFile(files.identityFile, privateKey, { mode: 0o600 });
  await writeFile(files.knownHostsFile, knownHosts, { mode: 0o600 });
  return files;
}
