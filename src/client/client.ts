import type { Transport } from "@connectrpc/connect";
import createDebug from "debug";
import type { ReattachConfig } from "../contract/reattach.ts";
import type { AttachedRunner, ExitStatus } from "../contract/runner.ts";
import type { GrpcBroker } from "../dial/broker/grpc-broker.ts";
import { within } from "../lifetime/deadline.ts";
import { despiteLoss } from "../lifetime/despite-loss.ts";
import { later } from "../lifetime/later.ts";
import { SharedAttempt } from "../lifetime/shared-attempt.ts";
import type { ClientOptions } from "./client-options.ts";
import type { ExitReason } from "./exit-reason.ts";
import { asPluginError, notStarted, pluginKilled } from "./failures.ts";
import { follow } from "./follow.ts";
import { type GrpcTarget, grpcTarget } from "./grpc-target.ts";
import { manage, release } from "./managed-clients.ts";
import {
  type Dispensed,
  dispense,
  type NamesOf,
  type PluginSet,
  type SetsOf,
  type VersionedPlugins,
} from "./plugin-set.ts";
import { hostAddress, reattachConfigOf } from "./plugin-whereabouts.ts";
import { reattachPlugin } from "./reattach-plugin.ts";
import { type ResolvedClientOptions, resolveClientOptions } from "./resolve-options.ts";
import type { Running } from "./running.ts";
import { shutDown } from "./shut-down.ts";
import { startEnvironment, startPlugin } from "./start-plugin.ts";

const debug = createDebug("go-plugin-ssh:client");

/** How long a kill waits for whoever takes the plugin's stderr: for one who takes it slowly, on a busy machine too. */
const TAP_MS = 5_000;

/**
 * Hosts one go-plugin plugin over gRPC: starts it with any runner, agrees with it, calls it, is called back, ends it.
 *
 * Same as go-plugin's `Client` and `ClientProtocol`, for its gRPC protocol.
 */
export class Client<Set extends PluginSet = PluginSet, Versioned extends VersionedPlugins = VersionedPlugins>
  implements AsyncDisposable
{
  readonly #options: ResolvedClientOptions;
  readonly #killed = new AbortController();
  #attempt: SharedAttempt<Running> | undefined;
  /** Resolves when the last attempt is over and, if it failed, undone. */
  #settled: Promise<unknown> = Promise.resolve();
  #runner: AttachedRunner | undefined;
  #running: Running | undefined;
  #killing: Promise<void> | undefined;
  #reason: ExitReason | undefined;
  #ended = later<ExitReason>();
  /** Aborted when the plugin that runs now is gone. */
  #gone = new AbortController();

  /** @throws {PluginError} `bad-options`; nothing has been started then */
  constructor(options: ClientOptions<Set, Versioned>) {
    this.#options = resolveClientOptions(options as ClientOptions);
    startEnvironment(this.#options);
  }

  /** Identifies the running plugin, for people; empty before it runs. Same as go-plugin's `Client.ID`. */
  get id(): string {
    return this.#runner?.id ?? "";
  }

  /** The version of the application's protocol that host and plugin agreed on; `undefined` before the start. */
  get negotiatedVersion(): number | undefined {
    return this.#running?.version;
  }

  /** What the plugin speaks; `undefined` before the start. Same as go-plugin's `Client.Protocol`. */
  get protocol(): "grpc" | undefined {
    return this.#running && "grpc";
  }

  /**
   * Whether there was a plugin and there is none any more, or a start has failed. It asks nobody. Same as go-plugin's
   * `Client.Exited`.
   */
  get exited(): boolean {
    return this.#reason !== undefined;
  }

  /**
   * For the clients of the plugin's services: `createClient(Service, client.transport)`.
   *
   * @throws {PluginError} `closed` before the start
   */
  get transport(): Transport {
    return this.#need().connection.channel.transport;
  }

  /**
   * For connections beside the calls, in both directions. Same as go-plugin's `GRPCBroker`.
   *
   * @throws {PluginError} `closed` before the start
   */
  get broker(): GrpcBroker {
    return this.#need().connection.broker;
  }

  /**
   * Starts the plugin, agrees with it and connects to it; resolves with the transport for calls. Once it has started,
   * each further call gives the same answer; after a failed start it tries again, with a new runner. Aborting `signal`
   * gives up this call; the starting itself ends when nobody waits for it any more, a plugin that has started never.
   *
   * With AutoMTLS it does not wait for the plugin's word on our certificate, which would cost a round trip: a plugin that
   * refuses it makes each call fail as `Unavailable`, with `handshake-failed` as its cause.
   *
   * @throws {PluginError} what the runner threw; `handshake-failed` with go-plugin's text; `plugin-not-started`;
   *   `plugin-exited` if it left before it could be called; `checksum-mismatch`; `unsupported` for net/rpc;
   *   `not-found` for a reattached plugin that is gone; `timeout`; `aborted`; `closed` after a kill.
   *   The runner has been told to end the plugin then.
   */
  start(signal?: AbortSignal): Promise<Transport> {
    const attempt = this.#attempt?.usable ? this.#attempt : this.#newAttempt();
    this.#attempt = attempt;
    const joined = within({ signal, until: [this.#killed.signal] }, (over) => attempt.join(over));
    return joined.then(({ connection }) => connection.channel.transport);
  }

  /**
   * The client of the plugin `name` of the negotiated version's set; starts the plugin if it does not run. Same as
   * go-plugin's `ClientProtocol.Dispense`.
   *
   * @param name a name of `plugins` or `versionedPlugins`
   * @throws {PluginError} `bad-options`, with go-plugin's text, if there is no such plugin; what `start` throws; what
   *   `grpcClient` of the plugin throws
   */
  async dispense<Name extends NamesOf<SetsOf<Set, Versioned>>>(
    name: Name,
    signal?: AbortSignal,
  ): Promise<Dispensed<SetsOf<Set, Versioned>, Name>> {
    const transport = await this.start(signal);
    const { plugins, connection } = this.#need();
    const context = { transport, broker: connection.broker, signal: this.#gone.signal };
    return (await dispense(plugins, name, context)) as Dispensed<SetsOf<Set, Versioned>, Name>;
  }

  /** An attempt that begins when the one before it is over. */
  #newAttempt(): SharedAttempt<Running> {
    const before = this.#settled;
    return new SharedAttempt(
      (over) => {
        const starting = before.then(() => this.#start(over));
        this.#settled = starting.catch(() => {});
        return starting;
      },
      (unwanted) => this.#undo(unwanted),
    );
  }

  /** Ends a plugin that came up when nobody waited for it any more. */
  async #undo({ connection, runner }: Running): Promise<void> {
    this.#running = undefined;
    await connection.close(pluginKilled());
    if (this.#options.reattach) return;
    await runner.kill().catch((failure) => debug("kill after a late start: %s", failure.message));
  }

  async #start(signal: AbortSignal): Promise<Running> {
    if (this.#killed.signal.aborted) throw this.#killed.signal.reason;
    if (this.#reason) {
      this.#reason = undefined;
      this.#ended = later();
    }
    if (this.#options.managed) manage(this);
    const made = (runner: AttachedRunner) => {
      this.#runner = runner;
    };
    const begin = this.#options.reattach ? reattachPlugin : startPlugin;
    try {
      const running = await begin(this.#options, made, { signal, killed: this.#killed.signal });
      this.#running = running;
      this.#gone = new AbortController();
      follow(running, this.#options, this.#gone, (reason) => {
        this.#end(this.#killing && reason.kind === "exited" ? { ...reason, kind: "killed" } : reason);
      });
      return running;
    } catch (failure) {
      debug("start failed: %s", (failure as Error).message);
      if (!this.#killed.signal.aborted) this.#end({ kind: "start-failed", error: asPluginError(failure) });
      throw failure;
    }
  }

  #end(reason: ExitReason): void {
    if (this.#reason) return;
    this.#reason = reason;
    release(this);
    this.#ended.resolve(reason);
  }

  /**
   * Asks the plugin whether it serves. Same as go-plugin's `ClientProtocol.Ping`, with a deadline.
   *
   * @throws {PluginError} `plugin-exited` if it does not say yes in time; `aborted`; `closed` before the start
   */
  async ping(signal?: AbortSignal): Promise<void> {
    await this.#need().connection.channel.ping({ signal, timeoutMs: this.#options.pingTimeoutMs });
  }

  /**
   * An address on the host's side and credentials, for users of `@grpc/grpc-js`. It stays valid until the kill.
   *
   * @throws {PluginError} `closed` before the start; `unsupported` if the plugin multiplexes, because such a plugin
   *   takes one connection only; what the runner's `pluginToHost` threw
   */
  async grpcTarget(signal?: AbortSignal): Promise<GrpcTarget> {
    const running = this.#need();
    return grpcTarget(await hostAddress(running, signal), running.tls);
  }

  /** Resolves when the plugin has ended, with how it ended. Same as {@link AttachedRunner.wait}. */
  async wait(signal?: AbortSignal): Promise<ExitStatus> {
    if (!this.#runner) throw notStarted();
    return this.#runner.wait(signal);
  }

  /** Resolves when the plugin runs no longer, or a start has failed, with why. May be asked at any time. */
  exitReason(signal?: AbortSignal): Promise<ExitReason> {
    return within({ signal }, () => this.#ended.promise);
  }

  /**
   * All that another host needs to take the plugin over, fit for JSON; a reattached client gives what it was given.
   * Same as go-plugin's `Client.ReattachConfig`, with the negotiated version and the process's start time.
   *
   * @throws {PluginError} `closed` before the start; `unsupported` if the plugin multiplexes; what `pluginToHost` threw
   */
  async reattachConfig(signal?: AbortSignal): Promise<ReattachConfig> {
    const running = this.#need();
    return this.#options.reattach ?? reattachConfigOf(running, signal);
  }

  /**
   * Ends the plugin: asks it to shut down, waits a little, then has the runner end it. May be called at any moment and
   * often. When it resolves, the plugin is gone and so is everything that was made for it. A plugin that was
   * reattached to with `test` lives on.
   *
   * @throws {PluginError} what the runner's `kill` threw: `still-running`, or `connection-lost` if it cannot be known
   */
  kill(signal?: AbortSignal): Promise<void> {
    this.#killing ??= this.#kill();
    const killing = this.#killing;
    killing.catch(() => {});
    return within({ signal }, () => killing);
  }

  async #kill(): Promise<void> {
    // A turn later, so that `#killing` is set before anybody asks.
    await undefined;
    const reason = pluginKilled();
    if (!this.#running) this.#killed.abort(reason);
    const running = this.#running;
    try {
      if (running && this.#runner) await shutDown(running, this.#options);
      this.#killed.abort(reason);
      this.#gone.abort(reason);
      await running?.connection.close(reason);
      await this.#settled;
      await this.#runner?.kill();
      if (running) await lastWords(running);
    } finally {
      this.#end({ kind: "killed", exit: undefined });
    }
  }

  /** `kill`, for `await using`. A lost connection is no failure here: those who waited were told. */
  [Symbol.asyncDispose](): Promise<void> {
    return despiteLoss(this.kill());
  }

  #need(): Running {
    if (this.#killing) throw pluginKilled();
    if (!this.#running) throw notStarted();
    return this.#running;
  }
}

/** Waits until the log has been read to its end, but not long for a tap that takes nothing. */
async function lastWords({ logged, dropTap }: Running): Promise<void> {
  await within({ timeoutMs: TAP_MS }, () => logged).catch(dropTap);
  await logged;
}
