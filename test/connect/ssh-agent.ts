import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { promisify } from "node:util";
import { eventually } from "../tools/eventually.ts";
import { Scratch } from "./scratch.ts";

const run = promisify(execFile);

/** A real ssh-agent, which ends with the test. */
export class SshAgent implements AsyncDisposable {
  readonly socket: string;
  readonly #child: ChildProcess;
  readonly #scratch: Scratch;

  private constructor(child: ChildProcess, scratch: Scratch, socket: string) {
    this.#child = child;
    this.#scratch = scratch;
    this.socket = socket;
  }

  static async start(): Promise<SshAgent> {
    const scratch = await Scratch.make();
    const socket = scratch.path("agent");
    const child = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
    const agent = new SshAgent(child, scratch, socket);
    await eventually(() => existsSync(socket), { what: "ssh-agent to listen" });
    return agent;
  }

  /** Loads a private key. */
  async add(privateKey: string): Promise<void> {
    const file = await this.#scratch.put("key", privateKey);
    await run("ssh-add", ["-q", file], { env: { ...process.env, SSH_AUTH_SOCK: this.socket } });
  }

  /** Loads many keys in one go. */
  async addAll(keys: readonly { privateKey: string }[]): Promise<void> {
    const files = await Promise.all(keys.map(({ privateKey }, index) => this.#scratch.put(`key-${index}`, privateKey)));
    await run("ssh-add", ["-q", ...files], { env: { ...process.env, SSH_AUTH_SOCK: this.socket } });
  }

  /** Refuses to sign from now on, as an agent does that was locked. */
  end(): Promise<unknown> {
    const ended =
      this.#child.exitCode === null && this.#child.signalCode === null ? once(this.#child, "exit") : undefined;
    this.#child.kill("SIGTERM");
    return Promise.resolve(ended);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
    await this.#scratch[Symbol.asyncDispose]();
  }
}

/** Something that listens like an agent and never answers. */
export class SilentAgent implements AsyncDisposable {
  readonly socket: string;
  /** Those who wait for an answer. */
  readonly clients = new Set<Socket>();
  readonly #scratch: Scratch;
  readonly #server = createServer((client) => {
    this.clients.add(client);
    client.on("error", () => {}).on("close", () => this.clients.delete(client));
    client.resume();
  });

  private constructor(scratch: Scratch) {
    this.#scratch = scratch;
    this.socket = scratch.path("agent");
  }

  static async start(): Promise<SilentAgent> {
    const agent = new SilentAgent(await Scratch.make());
    agent.#server.listen(agent.socket);
    await once(agent.#server, "listening");
    return agent;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const client of this.clients) client.destroy();
    await closed;
    await this.#scratch[Symbol.asyncDispose]();
  }
}
