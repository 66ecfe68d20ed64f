import { chmod, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { generateKey } from "../../src/demo/embedded/keys.ts";

/** All that belongs to one throw-away server, and where it is. */
export interface ServerFiles {
  readonly directory: string;
  readonly logFile: string;
  /** The server's key, in OpenSSH's format. */
  readonly hostKeyFile: string;
  readonly authorizedKeysFile: string;
  readonly identityFile: string;
  readonly knownHostsFile: string;
  readonly privateKey: string;
  /** The line of `authorizedKeysFile`. */
  readonly publicKey: string;
  readonly hostKeyFingerprint: string;
  readonly user: string;
  readonly host: string;
  readonly port: number;
}

/** Writes the keys of a server at `host` on `port`, and of the account that logs in to it, into a fresh directory. */
export async function writeServerFiles(
  port: number,
  user = userInfo().username,
  host = "127.0.0.1",
): Promise<ServerFiles> {
  const directory = await mkdtemp(join(tmpdir(), "gps-sshd-"));
  // sshd reads authorized_keys as the account that logs in.
  await chmod(directory, 0o755);
  const put = async (name: string, text: string, mode = 0o600) => {
    const path = join(directory, name);
    await writeFile(path, text, { mode });
    return path;
  };
  const hostKey = generateKey("ed25519");
  const client = generateKey("ed25519");
  return {
    directory,
    logFile: await put("server.log", ""),
    hostKeyFile: await put("host_key", hostKey.privateKey),
    authorizedKeysFile: await put("authorized_keys", `${client.publicKey}\n`, 0o644),
    identityFile: await put("id_ed25519", client.privateKey),
    knownHostsFile: await put("known_hosts", `[${host}]:${port} ${hostKey.publicKey}\n`),
    privateKey: client.privateKey,
    publicKey: client.publicKey,
    hostKeyFingerprint: hostKey.fingerprint,
    user,
    host,
    port,
  };
}
