import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { eventually } from "../../test/tools/eventually.ts";
import type { Box } from "../box.ts";

/** A long line and a busy machine may be slow; more than this is a failure. */
const CONNECT_MS = 60_000;

/** One connection of the system's own `ssh`, which takes commands and forwards: a master, in its words. */
export class OpenSsh implements AsyncDisposable {
  readonly #directory: string;
  readonly #box: Box;
  readonly #master: ChildProcess;
  #forwards = 0;

  /** Logs in. */
  static async connect(box: Box): Promise<OpenSsh> {
    const directory = await mkdtemp(join(box.directory, "m"));
    const ssh = new OpenSsh(box, directory);
    const ended = once(ssh.#master, "exit").then(() => {
      throw new Error("ssh could not log in.");
    });
    ended.catch(() => {});
    const ready = eventually(() => existsSync(ssh.socket), { what: "ssh to log in", timeoutMs: CONNECT_MS });
    await Promise.race([ready, ended]);
    return ssh;
  }

  private constructor(box: Box, directory: string) {
    this.#box = box;
    this.#directory = directory;
    this.#master = spawn("ssh", [...this.#arguments(), "-N", "-M", box.host], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  }

  /** Starts a command on the box. */
  exec(command: string): ChildProcess {
    return spawn("ssh", [...this.#arguments(), this.#box.host, command], { stdio: ["ignore", "pipe", "pipe"] });
  }

  /** Has a socket here lead to one on the box, or with `-R` the other way round; gives the path of the new one. */
  async forward(flag: "-L" | "-R", path: string): Promise<string> {
    this.#forwards += 1;
    const made = join(this.#directory, `f${this.#forwards}`);
    await promisify(execFile)("ssh", [...this.#arguments(), "-O", "forward", flag, `${made}:${path}`, this.#box.host]);
    return made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#master.exitCode === null && this.#master.signalCode === null) {
      const ended = once(this.#master, "exit");
      // OpenSSH 9.2 looks for signals before it waits, not while: one in between is seen when something else happens.
      this.#master.kill("SIGKILL");
      await ended;
    }
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Where the master listens. */
  get socket(): string {
    return join(this.#directory, "c");
  }

  #arguments(): string[] {
    return sshArguments(this.#box, this.socket);
  }
}

/** What `ssh` is told of a box, before the name of the host. `socket` is the master's, or `none`. */
export function sshArguments(box: Box, socket: string): string[] {
  const { port, user, identityFile, knownHostsFile, knownAs } = box;
  const options = [
    "BatchMode=yes",
    "IdentitiesOnly=yes",
    "StrictHostKeyChecking=yes",
    "GlobalKnownHostsFile=/dev/null",
    `UserKnownHostsFile=${knownHostsFile}`,
    `HostKeyAlias=${knownAs}`,
  ];
  const settings = options.flatMap((option) => ["-o", option]);
  return ["-F", "/dev/null", "-S", socket, "-p", `${port}`, "-l", user, "-i", identityFile, ...settings];
}
