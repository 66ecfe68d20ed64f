import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import { type Address, formatAddress } from "../../contract/address.ts";
import type { ExecChannel, Listener } from "../../contract/connection.ts";
import { PluginError } from "../../contract/errors.ts";
import type { ExitStatus } from "../../contract/runner.ts";
import { type Limits, within } from "../../lifetime/deadline.ts";
import { later } from "../../lifetime/later.ts";
import { describeTarget, type Target } from "../destination.ts";
import type { OwnedConnection } from "../owned-connection.ts";
import { Sessions } from "../sessions.ts";
import { execError, streamError } from "../ssh2-errors.ts";
import type { ControlClient } from "./control-client.ts";
import type { MuxChannel } from "./mux-channel.ts";
import { MuxListeners } from "./mux-listeners.ts";
import type { MuxProxy } from "./mux-proxy.ts";

const debug = createDebug("go-plugin-ssh:connect");

/** A server answers a request at once; some never answer requests that they do not know. */
const ANSWER_MS = 30_000;

/** An `ssh` that is logged in: ours, or one that the user has running. */
export interface Master {
  readonly proxy: MuxProxy;
  readonly control: ControlClient;
  /** A private directory of this machine, for sockets. */
  readonly directory: string;
  /** Whether it is the user's, who may have sessions on it. */
  readonly isUsers?: boolean;
  /** Why it has ended, in its own words; asked when it has. */
  why(): Promise<PluginError>;
  /** Keeps the process alive, or lets it end although this is open. */
  hold(keepAlive: boolean): void;
  /** Ends it if it is ours, lets go of it if it is not. Never rejects. */
  close(): Promise<void>;
}

/** A connection through the system's `ssh`. Its channels are as with any client of SSH: see {@link MuxProxy}. */
export class OpenSshConnection implements OwnedConnection {
  readonly name: string;
  destination: string | undefined;
  readonly #master: Master;
  readonly #target: Target;
  readonly #lost = new AbortController();
  readonly #listeners: MuxListeners;
  readonly #sessions = new Sessions();
  #closing: Promise<void> | undefined;

  constructor(master: Master, target: Target) {
    this.name = describeTarget(target);
    this.#master = master;
    this.#target = target;
    this.#listeners = new MuxListeners(master.control, master.directory);
    setMaxListeners(0, this.lost);
    void master.proxy.closed.then(async () => {
      if (!this.lost.aborted) this.#lose(await master.why());
      await this.close();
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  get isJoined(): boolean {
    return this.#master.isUsers ?? false;
  }

  exec(command: string, signal?: AbortSignal): Promise<ExecChannel> {
    const ask = () => this.#orLost(() => this.#exec(command));
    return within(
      this.#limits("to run a command", signal),
      (over) => this.#sessions.whenFree(ask, over),
      (channel) => channel.close(),
    );
  }

  openStream(to: Address, signal?: AbortSignal): Promise<Duplex> {
    const open = () => {
      const { proxy } = this.#master;
      return to.network === "tcp"
        ? proxy.openChannel("direct-tcpip", to.host, to.port, "127.0.0.1", 0)
        : proxy.openChannel("direct-streamlocal@openssh.com", to.path, "", 0);
    };
    const ask = () => this.#orLost(() => open().catch((failure) => Promise.reject(streamError(failure, to))));
    return within(this.#limits(`to connect to ${formatAddress(to)}`, signal), ask, (stream) => stream.destroy());
  }

  listen(at: Address, onStream: (stream: Duplex) => void, signal?: AbortSignal): Promise<Listener> {
    const ask = () => this.#orLost(() => this.#listeners.listen(at, onStream));
    return within(this.#limits(`to listen on ${formatAddress(at)}`, signal), ask, (listener) => listener.close());
  }

  hold(keepAlive: boolean): void {
    this.#master.hold(keepAlive);
  }

  close(): Promise<void> {
    this.#lose(new PluginError("closed", `The connection to ${this.name} was closed.`));
    this.#closing ??= this.#end();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    if (this.isJoined) await this.#listeners.withdraw();
    await this.#master.close();
  }

  async #exec(command: string): Promise<ExecChannel> {
    const channel = await this.#master.proxy.openChannel("session").catch((failure) => {
      throw execError(failure, this.#target);
    });
    // Before the answer, because a short command may have ended by then.
    const exec = this.#sessions.follow(asExec(channel));
    if (await channel.ask("exec", command)) return exec;
    channel.destroy();
    throw execError(new Error("it does not run commands"), this.#target);
  }

  /** Tells everybody who uses the connection that it is over. */
  #lose(reason: PluginError): void {
    if (this.lost.aborted) return;
    debug("%s: %s", this.name, reason.message);
    this.#lost.abort(reason);
    this.#listeners.close();
    this.#master.proxy.end(reason);
  }

  /** A connection that broke meanwhile is the reason for any failure. */
  async #orLost<T>(ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (failure) {
      if (this.lost.aborted) throw this.lost.reason;
      throw failure;
    }
  }

  #limits(what: string, signal: AbortSignal | undefined): Limits {
    const onTimeout = () =>
      new PluginError("timeout", `${this.name} did not answer the request ${what} within ${ANSWER_MS} ms.`, {
        hint: "Some small SSH servers ignore requests that they do not know.",
      });
    return { signal, timeoutMs: ANSWER_MS, onTimeout, until: [this.lost] };
  }
}

/** Sees a session channel as one command with three streams. */
function asExec(channel: MuxChannel): ExecChannel {
  const exited = later<ExitStatus | undefined>();
  channel.onRequest = (name, details) => {
    if (name === "exit-status") exited.resolve({ code: details.uint32(), signal: null });
    if (name === "exit-signal") exited.resolve({ code: null, signal: `SIG${details.text()}` });
  };
  void channel.whenClosed.then(() => exited.resolve(undefined));
  return {
    stdin: channel,
    stdout: channel,
    stderr: channel.stderr,
    exited: exited.promise,
    closed: channel.whenClosed,
    signal: (name) => channel.tell("signal", name),
    close: () => channel.close(),
  };
}
