import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import type { Socket } from "node:net";
import createDebug from "debug";
import { PluginError } from "../../contract/errors.ts";
import { later } from "../../lifetime/later.ts";
import { harmless, Tail } from "../../lifetime/tail.ts";
import { endGroup, endGroupWithUs } from "./end-group.ts";
import { PairedStream } from "./paired-stream.ts";
import { retell, whatOf } from "./retell.ts";
import type { Way } from "./way.ts";

const debug = createDebug("go-plugin-ssh:connect");

/** How long to wait, after the command's output has ended, for its status and its last words. */
const LAST_WORDS_MS = 500;

/**
 * Runs a command whose stdin and stdout are the connection: by the user's shell, whose place it takes, as OpenSSH does.
 * It has a process group of its own, which ends with the connection, and no terminal.
 *
 * @param command with its tokens expanded
 * @throws {PluginError} `connect-failed` if this machine has no room for another process
 */
export function runProxyCommand(command: string): Way {
  const shell = process.env.SHELL || "/bin/sh";
  try {
    const child = spawn(shell, ["-c", `exec ${command}`], { detached: true, stdio: "pipe" });
    return new ProxyCommand(child.on("error", () => {}));
  } catch (cause) {
    throw new PluginError("connect-failed", "The proxy command could not be started.", { cause });
  }
}

class ProxyCommand implements Way {
  readonly stream: PairedStream;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #pipes: readonly Socket[];
  readonly #said = new Tail();
  readonly #lastWords = later<void>();
  /** How the command ended, once it has. */
  #end: { readonly how: string; readonly failed: boolean } | undefined;
  #closing: Promise<void> | undefined;

  constructor(child: ChildProcessWithoutNullStreams) {
    this.#child = child;
    // Node makes sockets for pipes, and its types do not tell.
    this.#pipes = [child.stdin, child.stdout, child.stderr] as unknown as Socket[];
    if (child.pid !== undefined) endGroupWithUs(child.pid);
    child.on("error", ({ message }) => this.#ended(`could not be started: ${message}`, true));
    child.on("exit", (code, signal) => {
      if (code === null) this.#ended(`was ended by ${signal}`, true);
      else this.#ended(`ended with status ${code}`, code !== 0);
    });
    child.once("close", () => this.#lastWords.resolve());
    child.stdout.once("end", () => setTimeout(() => this.#lastWords.resolve(), LAST_WORDS_MS).unref());
    child.stderr.on("error", () => {}).on("data", (chunk: Buffer) => this.#hear(chunk));
    this.stream = new PairedStream(child.stdout, child.stdin, (end) => void this.#lastWords.promise.then(end));
  }

  hold(keepAlive: boolean): void {
    for (const one of [this.#child, ...this.#pipes]) {
      if (keepAlive) one.ref();
      else one.unref();
    }
  }

  explain(failure: PluginError): PluginError {
    const said = this.#said.toString().trimEnd();
    const nothingToAdd = this.#end === undefined && said === "";
    if (nothingToAdd || failure.code === "auth-failed") return failure;
    const how = this.#end ? `The proxy command ${this.#end.how}.` : "The proxy command still runs.";
    const words = said === "" ? [] : ["Its stderr ended with:", said.replace(/^/gm, "  ")];
    // It was the command that failed, not the box that refused us.
    const code = failure.code === "box-refused" && this.#end?.failed ? "connect-failed" : failure.code;
    return retell(failure, [whatOf(failure), how, ...words].join("\n"), code);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.stream.on("error", () => {}).destroy();
    if (this.#child.pid !== undefined) await endGroup(this.#child.pid);
    // Somebody who left the group may hold the other ends.
    for (const pipe of this.#pipes) pipe.destroy();
  }

  #hear(chunk: Buffer): void {
    this.#said.push(chunk);
    debug("the proxy command says: %s", harmless(chunk.toString()));
  }

  #ended(how: string, failed: boolean): void {
    if (!this.#closing) debug("the proxy command %s", how);
    this.#end ??= { how, failed };
  }
}
