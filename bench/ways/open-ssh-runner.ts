import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import type { Address, ExitStatus, PluginOptions, Runner } from "../../src/index.ts";
import type { OpenSsh } from "./open-ssh.ts";

/** What is needed of the system's `ssh`. */
export type Ssh = Pick<OpenSsh, "exec" | "forward" | typeof Symbol.asyncDispose>;

/**
 * What somebody would make of the system's `ssh` by hand: the plugin runs as a command of it, and each address becomes a
 * forward. Nobody looks after the plugin; `Client` ends it by asking it.
 */
export class OpenSshRunner implements Runner {
  readonly id = "ssh";
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly #plugin: PluginOptions;
  readonly #open: () => Promise<Ssh>;
  readonly #close: (ssh: Ssh) => Promise<void>;
  #ssh: Ssh | undefined;
  #command: ChildProcess | undefined;
  #ended: Promise<unknown> | undefined;

  constructor(plugin: PluginOptions, open: () => Promise<Ssh>, close: (ssh: Ssh) => Promise<void>) {
    this.#plugin = plugin;
    this.#open = open;
    this.#close = close;
  }

  get name(): string {
    return this.#plugin.command[0];
  }

  async start(): Promise<void> {
    const ssh = await this.#open();
    this.#ssh = ssh;
    const variables = Object.entries(this.#plugin.environment ?? {}).map(([name, value]) => `${name}=${value}`);
    const command = ssh.exec(["exec", "env", ...[...variables, ...this.#plugin.command].map(quoted)].join(" "));
    this.#command = command;
    this.#ended = once(command, "exit");
    command.stdout?.pipe(this.stdout);
    command.stderr?.pipe(this.stderr);
  }

  async wait(): Promise<ExitStatus> {
    await this.#ended;
    return { code: this.#command?.exitCode ?? 255, signal: null };
  }

  async kill(): Promise<void> {
    // See `OpenSsh`: another signal may be seen late.
    this.#command?.kill("SIGKILL");
    await this.#ended;
    const ssh = this.#ssh;
    this.#ssh = undefined;
    if (ssh) await this.#close(ssh);
  }

  async diagnose(): Promise<string> {
    return "";
  }

  async pluginToHost(address: Address): Promise<Address> {
    return this.#forward("-L", address);
  }

  async hostToPlugin(address: Address): Promise<Address> {
    return this.#forward("-R", address);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  readonly #forwards = new Map<string, Promise<string>>();

  async #forward(flag: "-L" | "-R", address: Address): Promise<Address> {
    if (address.network !== "unix" || !this.#ssh) throw new TypeError(`There is no way to ${JSON.stringify(address)}.`);
    const key = join(flag, address.path);
    const path = this.#forwards.get(key) ?? this.#ssh.forward(flag, address.path);
    this.#forwards.set(key, path);
    return { network: "unix", path: await path };
  }
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`;
}
