import { accessSync, constants } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type Account, writeAccount } from "./account.ts";
import type { TestServer } from "./server.ts";
import type { ServerFiles } from "./server-files.ts";
import { spawnServer } from "./spawn-server.ts";

/** What a throw-away sshd shall be like. */
export interface OpenSshOptions {
  /** Lines of sshd_config. sshd keeps the first value of a keyword, so these win over ours. */
  options?: readonly string[];
  /** @default "VERBOSE" */
  logLevel?: string;
  /**
   * The account to log in to, which must exist; only root may name another than its own.
   * @default the current user
   */
  user?: string;
  /** What the account shall be like for this sshd; needs nss_wrapper. @default as it is on this machine */
  account?: Account;
  /** Whether sessions find the account's rc files. @default only those of an `account` or another `user` */
  rcFiles?: boolean;
  /**
   * A network of its own, where each port is free: where it listens there, and what starts a command in it.
   * @default the loopback of this machine
   */
  network?: { address: string; inside: readonly string[] };
}

/** sshd's own processes; newer versions have three programs. */
export const SSHD = /^(\S*\/)?sshd(-session|-auth)?(:|\s|$)/;

/** An account's own rc files may take long, or wait for each other, so they are not found; an account of a test's own has a home. */
const NO_RC_FILES = "SetEnv HOME=/nonexistent";

/** Where sshd is, or `undefined` where it is not installed. */
export function findSshd(): string | undefined {
  const places = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"];
  return places.map((place) => join(place, "sshd")).find((path) => path.startsWith("/") && isExecutable(path));
}

/** Whether this machine can run {@link startOpenSsh}. */
export function hasOpenSsh(): boolean {
  return findSshd() !== undefined;
}

/** Starts a real sshd on a free loopback port, with keys and a configuration of its own in a temporary directory. */
export async function startOpenSsh(options: OpenSshOptions = {}): Promise<TestServer> {
  const sshd = findSshd();
  if (!sshd) throw new Error("There is no sshd here. Install openssh-server.");
  if (process.getuid?.() === 0) await mkdir("/run/sshd", { recursive: true, mode: 0o755 });
  return spawnServer({
    name: "openssh",
    user: options.user,
    address: options.network?.address,
    processes: SSHD,
    listens: "Server listening",
    prepare: async (files) => {
      const configFile = await writeConfig(files, options);
      const [program = sshd, ...args] = [...(options.network?.inside ?? []), sshd];
      return {
        command: [program, ...args, "-D", "-E", files.logFile, "-f", configFile],
        env: options.account ? await writeAccount(files, options.account) : {},
      };
    },
  });
}

async function writeConfig(
  files: ServerFiles,
  { options = [], logLevel = "VERBOSE", user, account, rcFiles = Boolean(user ?? account) }: OpenSshOptions,
): Promise<string> {
  const config = [
    ...options,
    ...(rcFiles ? [] : [NO_RC_FILES]),
    `Port ${files.port}`,
    `ListenAddress ${files.host}`,
    `HostKey ${files.hostKeyFile}`,
    `AuthorizedKeysFile ${files.authorizedKeysFile}`,
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
  const path = join(files.directory, "sshd_config");
  await writeFile(path, `${config.join("\n")}\n`);
  return path;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
