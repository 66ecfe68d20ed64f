import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
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
    // The file is there before anybody listens.
    await eventually(() => isListening(socket), { what: "ssh-agent to listen" });
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

async function isListening(path: string): Promise<boolean> {
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return true;
  } finally {
    socket.destroy();
  }
}

/** The first byte of a message to an agent that wants a signature, after its length. */
const SIGN_REQUEST = 13;

/** Stands before an agent: passes on the questions what keys there are, and never answers who wants a signature. */
export class UnwillingAgent implements AsyncDisposable {
  readonly socket: string;
  /** Those who wait for a signature. */
  readonly waiting = new Set<Socket>();
  readonly #scratch: Scratch;
  readonly #clients = new Set<Socket>();
  readonly #server;

  private constructor(scratch: Scratch, agent: string) {
    this.#scratch = scratch;
    this.socket = scratch.path("agent");
    this.#server = createServer((client) => {
      this.#clients.add(client);
      const behind = connect(agent).on("error", () => {});
      behind.pipe(client);
      client
        .on("error", () => {})
        .on("close", () => {
          this.#clients.delete(client);
          this.waiting.delete(client);
          behind.destroy();
        });
      client.on("data", (chunk: Buffer) => {
        if (chunk[4] === SIGN_REQUEST) this.waiting.add(client);
        else behind.write(chunk);
      });
    });
  }

  static async start(agent: SshAgent): Promise<UnwillingAgent> {
    const unwilling = new UnwillingAgent(await Scratch.make(), agent.socket);
    unwilling.#server.listen(unwilling.socket);
    await once(unwilling.#server, "listening");
    return unwilling;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const client of this.#clients) client.destroy();
    await closed;
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
