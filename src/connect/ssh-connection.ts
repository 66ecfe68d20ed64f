import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import type { Client } from "ssh2";
import { type Address, formatAddress } from "../contract/address.ts";
import type { ExecChannel, Listener } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { type Limits, within } from "../lifetime/deadline.ts";
import { BoxListeners } from "./box-listeners.ts";
import { describeTarget, type Target } from "./destination.ts";
import { execChannel } from "./exec-channel.ts";
import type { OwnedConnection } from "./owned-connection.ts";
import { Sessions } from "./sessions.ts";
import { connectionError, execError, streamError, type VendorError } from "./ssh2-errors.ts";
import type { Way } from "./way/way.ts";

const debug = createDebug("go-plugin-ssh:connect");

/** A server answers a request at once; some never answer requests that they do not know. */
const ANSWER_MS = 30_000;
/** How long a polite goodbye may take on a link that may be dead. */
const GOODBYE_MS = 1_000;

/** A {@link Connection} over one ssh2 client that is ready. */
export class SshConnection implements OwnedConnection {
  readonly name: string;
  destination: string | undefined;
  readonly #client: Client;
  readonly #way: Way;
  readonly #target: Target;
  readonly #lost = new AbortController();
  readonly #listeners: BoxListeners;
  readonly #sessions = new Sessions();
  readonly #closed: Promise<void>;
  #failure: PluginError | undefined;

  constructor(client: Client, way: Way, target: Target) {
    this.name = describeTarget(target);
    this.#client = client;
    this.#way = way;
    this.#target = target;
    this.#listeners = new BoxListeners(client);
    // One listener for each stream that uses the connection is no leak.
    client.setMaxListeners(0);
    setMaxListeners(0, this.lost);
    client.on("error", (failure) => {
      debug("%s: %s", this.name, failure.message);
      this.#failure ??= connectionError(failure as VendorError, "ready", target);
    });
    way.broken?.addEventListener("abort", () => this.#lose(way.broken?.reason as PluginError), { once: true });
    this.#closed = new Promise((resolve) => {
      client.on("close", () => {
        const failure = this.#failure ?? connectionError(new Error("the server closed it"), "ready", target);
        this.#lose(way.explain(failure));
        resolve(way.close());
      });
    });
  }

  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  exec(command: string, signal?: AbortSignal): Promise<ExecChannel> {
    const ask = () =>
      this.#ask<ExecChannel>((resolve, reject) => {
        this.#client.exec(command, (failure, channel) => {
          if (failure) reject(execError(failure, this.#target));
          else resolve(this.#sessions.follow(execChannel(channel, this.lost)));
        });
      });
    const limits = this.#limits("to run a command", signal);
    return within(
      limits,
      (over) => this.#sessions.whenFree(ask, over),
      (channel) => channel.close(),
    );
  }

  openStream(to: Address, signal?: AbortSignal): Promise<Duplex> {
    const ask = () =>
      this.#ask<Duplex>((resolve, reject) => {
        const answer = (failure: Error | undefined, channel: Duplex) => {
          if (failure) reject(streamError(failure, to));
          else resolve(channel);
        };
        if (to.network === "tcp") this.#client.forwardOut("127.0.0.1", 0, to.host, to.port, answer);
        else this.#client.openssh_forwardOutStreamLocal(to.path, answer);
      });
    return within(this.#limits(`to connect to ${formatAddress(to)}`, signal), ask, (stream) => stream.destroy());
  }

  listen(at: Address, onStream: (stream: Duplex) => void, signal?: AbortSignal): Promise<Listener> {
    const ask = () =>
      this.#ask<Listener>((resolve, reject) => this.#listeners.listen(at, onStream).then(resolve, reject));
    return within(this.#limits(`to listen on ${formatAddress(at)}`, signal), ask, (listener) => listener.close());
  }

  hold(keepAlive: boolean): void {
    this.#way.hold(keepAlive);
  }

  async close(): Promise<void> {
    this.#lose(new PluginError("closed", `The connection to ${this.name} was closed.`));
    this.#client.end();
    const timer = setTimeout(() => this.#way.stream.destroy(), GOODBYE_MS);
    await this.#closed;
    clearTimeout(timer);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #lose(reason: PluginError): void {
    if (this.#lost.signal.aborted) return;
    debug("%s: %s", this.name, reason.message);
    this.#lost.abort(reason);
  }

  /** Asks the server something. A connection that broke meanwhile is the reason for any failure; ssh2 throws then. */
  async #ask<T>(question: (resolve: (value: T) => void, reject: (reason: PluginError) => void) => void): Promise<T> {
    try {
      return await new Promise<T>(question);
    } catch (failure) {
      if (this.lost.aborted) throw this.lost.reason;
      throw failure instanceof PluginError ? failure : connectionError(failure as VendorError, "ready", this.#target);
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
