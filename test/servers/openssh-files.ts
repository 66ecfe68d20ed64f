import { chmod, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { generateKey } from "../../src/demo/embedded/keys.ts";
import type { OpenSshOptions } from "./openssh.ts";

/** All that belongs to one throw-away sshd, and where it is. */
export interface OpenSshFiles {
  readonly directory: string;
  readonly configFile: string;
  readonly logFile: string;
  readonly identityFile: string;
  readonly knownHostsFile: string;
  readonly privateKey: string;
  readonly hostKeyFingerprint: string;
  readonly user: string;
  readonly port: number;
}

/** Writes keys and a configuration for an sshd on `port` into a fresh directory. */
export async function writeOpenSshFiles(
  port: number,
  { options = [], logLevel = "VERBOSE", user = userInfo().username }: OpenSshOptions,
): Promise<OpenSshFiles> {
  const directory = await mkdtemp(join(tmpdir(), "gps-sshd-"));
  // sshd reads authorized_keys as the account that logs in.
  await chmod(directory, 0o755);
  const put = async (name: string, text: string, mode = 0o600) => {
    const path = join(directory, name);
    await writeFile(path, text, { mode });
    return path;
  };

  const host = generateKey("ed25519");
  const client = generateKey("ed25519");
  const hostKeyFile = await put("host_key", host.privateKey);
  const authorizedKeys = await put("authorized_keys", `${client.publicKey}\n`, 0o644);
  const logFile = await put("sshd.log", "");
  const config = [
    ...options,
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    `HostKey ${hostKeyFile}`,
    `AuthorizedKeysFile ${authorizedKeys}`,
    "PidFile none",
    "UsePAM no",
    "StrictModes no",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "PermitRootLogin prohibit-password",
    "Subsystem sftp internal-sftp",
    "PrintMotd no",
    `LogLevel ${logLevel}`,
  ];
  return {
    directory,
    configFile: await put("sshd_config", `${config.join("\n")}\n`),
    logFile,
    identityFile: await put("id_ed25519", client.privateKey),
    knownHostsFile: await put("known_hosts", `[127.0.0.1]:${port} ${host.publicKey}\n`),
    privateKey: client.privateKey,
    hostKeyFingerprint: host.fingerprint,
    user,
    port,
  };
}
