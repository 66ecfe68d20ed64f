import { connect } from "node:net";
import type { Duplex } from "node:stream";
import type { Transport } from "@connectrpc/connect";
import createDebug from "debug";
import type { Address } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import type { ExitStatus, Runner } from "../contract/runner.ts";
import { PluginChannel } from "../dial/plugin-channel.ts";
import type { MutualTls } from "../dial/secure.ts";
import { syncStdio } from "../dial/sync-stdio.ts";
import { type Certificate, createCertificate } from "../handshake/certificates.ts";
import { pluginEnvironment } from "../handshake/environment.ts";
import { type HandshakeLine, parseHandshakeLine } from "../handshake/handshake-line.ts";
import { readHandshakeLine } from "../handshake/read-handshake.ts";
import { abortError, within } from "../lifetime/deadline.ts";
import { SharedAttempt } from "../lifetime/shared-attempt.ts";
import { type ClientOptions, type ResolvedClientOptions, resolveClientOptions } from "./client-options.ts";
import { type GrpcTarget, grpcTarget } from "./grpc-target.ts";

const debug = createDebug("go-plugin-ssh:client");

/** Everything that exists while a plugin runs, and only then. */
interface Running {
  readonly runner: Runner;
  readonly handshake: HandshakeLine;
  readonly tls: MutualTls | undefined;
  readonly channel: PluginChannel;
}

/**
 * Hosts one go-plugin plugin over gRPC: starts it with any runner, agrees with it, calls it, ends it.
 *
 * Same as go-plugin's `Client`, for its gRPC protocol.
 */
export class Client implements AsyncDisposable {
  readonly #options: ResolvedClientOptions;
  readonly #killed = new AbortController();
  #attempt: SharedAttempt<Running> | undefined;
  /** Resolves when the last attempt is over and, if it failed, undone. */
  #settled: Promise<unknown> = Promise.resolve();
  #runner: Runner | undefined;
  #running: Running | undefined;
  #killing: Promise<void> | undefined;

  /** @throws {PluginError} `bad-options`; nothing has been started then */
  constructor(options: ClientOptions) {
    this.#options = resolveClientOptions(options);
    this.#environment(undefined);
  }

  /** Identifies the running plugin, for people; empty before it runs. Same as go-plugin's `Client.ID`. */
  get id(): string {
    return this.#runner?.id ?? "";
  }

  /** The version of the application's protocol that host and plugin agreed on; `undefined` before the start. */
  get negotiatedVersion(): number | undefined {
    return this.#running?.handshake.appProtocolVersion;
  }

  /**
   * For the clients of the plugin's services: `createClient(Service, client.transport)`.
   *
   * @throws {PluginError} `closed` before the start
   */
  get transport(): Transport {
    return this.#need().channel.transport;
  }

  /**
   * Starts the plugin, agrees with it and connects to it; resolves with the transport for calls. Once it has started,
   * each further call gives the same answer; after a failed start it tries again, with a new runner. Aborting `signal`
   * gives up this call; the starting itself ends when nobody waits for it any more, a plugin that has started never.
   *
   * @throws {PluginError} what the runner threw; `handshake-failed` with go-plugin's text; `plugin-not-started`;
   *   `timeout`; `aborted`; `closed` after a kill. The runner has been told to end the plugin then.
   */
  start(signal?: AbortSignal): Promise<Transport> {
    const attempt = this.#attempt?.usable ? this.#attempt : this.#newAttempt();
    this.#attempt = attempt;
    const joined = within({ signal, until: [this.#killed.signal] }, (over) => attempt.join(over));
    return joined.then(({ channel }) => channel.transport);
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
  async #undo({ channel, runner }: Running): Promise<void> {
    this.#running = undefined;
    channel.close(closed());
    await runner.kill().catch((failure) => debug("kill after a late start: %s", failure.message));
  }

  async #start(signal: AbortSignal): Promise<Running> {
    if (this.#killed.signal.aborted) throw this.#killed.signal.reason;
    const { autoMtls, createRunner, startTimeoutMs } = this.#options;
    const certificate = autoMtls ? createCertificate() : undefined;
    const runner = await createRunner(this.#environment(certificate));
    this.#runner = runner;
    try {
      const killed = this.#killed.signal;
      await within({ signal, timeoutMs: startTimeoutMs, onTimeout: tooSlow, until: [killed] }, (over) =>
        runner.start(over),
      );
      this.#drainStderr(runner);
      // Freshly for the second half, as go-plugin does.
      const running = await within(
        { signal, timeoutMs: startTimeoutMs, onTimeout: tooSlow, until: [killed] },
        (over) => this.#agree(runner, certificate, over),
        (late) => late.channel.close(closed()),
      );
      this.#running = running;
      this.#follow(running);
      return running;
    } catch (failure) {
      debug("start failed: %s", (failure as Error).message);
      await runner.kill().catch((other) => debug("kill after a failed start: %s", other.message));
      throw failure;
    }
  }

  /** From the handshake line to a connection with somebody who has proved to be the plugin. */
  async #agree(runner: Runner, certificate: Certificate | undefined, over: AbortSignal): Promise<Running> {
    const { handshake: expected, startTimeoutMs } = this.#options;
    const line = await readHandshakeLine({
      stdout: runner.stdout,
      exited: runner.wait(over),
      timeoutMs: startTimeoutMs,
      signal: over,
      diagnose: (signal) => runner.diagnose(signal),
    });
    const handshake = parseHandshakeLine(line, { versions: expected.protocolVersions, protocols: ["grpc"] });
    const tls = mutualTls(certificate, handshake);
    const channel = new PluginChannel({ tls, open: (signal) => openStream(runner, handshake.address, signal) });
    try {
      await channel.connect(over);
    } catch (failure) {
      channel.close(closed());
      throw failure;
    }
    return { runner, handshake, tls, channel };
  }

  /** Reads the plugin's own output, and closes the connection with a reason when the plugin is gone. */
  #follow({ runner, channel }: Running): void {
    const { syncStdout, syncStderr } = this.#options;
    const gone = new AbortController();
    void syncStdio(channel.transport, { stdout: syncStdout, stderr: syncStderr }, gone.signal);
    const end = (reason: PluginError) => {
      debug("%s: %s", runner.id, reason.message);
      gone.abort(reason);
      channel.close(reason);
    };
    runner.wait().then((exit) => end(exited(exit)), end);
  }

  /**
   * Asks the plugin whether it serves. Same as go-plugin's `ClientProtocol.Ping`, with a deadline.
   *
   * @throws {PluginError} `plugin-exited` if it does not say yes in time; `aborted`; `closed` before the start
   */
  async ping(signal?: AbortSignal): Promise<void> {
    await this.#need().channel.ping({ signal, timeoutMs: this.#options.pingTimeoutMs });
  }

  /**
   * An address on the host's side and credentials, for users of `@grpc/grpc-js`. It stays valid until the kill.
   *
   * @throws {PluginError} `closed` before the start, or what the runner's `pluginToHost` threw
   */
  async grpcTarget(signal?: AbortSignal): Promise<GrpcTarget> {
    const { runner, handshake, tls } = this.#need();
    return grpcTarget(await runner.pluginToHost(handshake.address, signal), tls);
  }

  /** Resolves when the plugin has ended, with how it ended. Same as {@link Runner.wait}. */
  async wait(signal?: AbortSignal): Promise<ExitStatus> {
    if (!this.#runner) throw notStarted();
    return this.#runner.wait(signal);
  }

  /**
   * Ends the plugin: asks it to shut down, waits a little, then has the runner end it. May be called at any moment and
   * often. When it resolves, the plugin is gone and so is everything that was made for it.
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
    const reason = closed();
    if (!this.#running) this.#killed.abort(reason);
    const running = this.#running;
    if (running) {
      const { shutdownTimeoutMs } = this.#options;
      if (await running.channel.shutdown(shutdownTimeoutMs)) {
        await within({ timeoutMs: shutdownTimeoutMs }, (over) => running.runner.wait(over)).catch((failure) => {
          debug("plugin failed to exit gracefully: %s", failure.message);
        });
      }
    }
    this.#killed.abort(reason);
    running?.channel.close(reason);
    await this.#settled;
    await this.#runner?.kill();
  }

  /** `kill`, for `await using`. A lost connection is no failure here: those who waited were told. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill().catch((failure) => {
      if (failure.code !== "connection-lost") throw failure;
    });
  }

  #environment(certificate: Certificate | undefined): Record<string, string> {
    const { handshake, minPort, maxPort } = this.#options;
    const { cookieKey, cookieValue, protocolVersions } = handshake;
    return pluginEnvironment({
      cookieKey,
      cookieValue,
      protocolVersions,
      minPort,
      maxPort,
      ...(certificate ? { clientCertificatePem: certificate.certificatePem } : {}),
    });
  }

  /** A plugin whose stderr nobody reads would block. */
  #drainStderr(runner: Runner): void {
    const { stderr } = this.#options;
    runner.stderr.on("error", () => {});
    runner.stderr.on("data", (chunk: Buffer) => {
      if (!stderr?.writable) return;
      if (stderr.write(chunk)) return;
      runner.stderr.pause();
      const resume = () => runner.stderr.resume();
      stderr.once("drain", resume);
      stderr.once("close", resume);
    });
  }

  #need(): Running {
    if (this.#killing) throw closed();
    if (!this.#running) throw notStarted();
    return this.#running;
  }
}

/** With AutoMTLS the plugin must answer with a certificate; it is never spoken to in plaintext instead. */
function mutualTls(
  certificate: Certificate | undefined,
  { certificate: answer }: HandshakeLine,
): MutualTls | undefined {
  if (!certificate) {
    if (!answer) return undefined;
    throw new PluginError(
      "handshake-failed",
      "The plugin serves TLS, with a certificate, although it was not asked to.",
      {
        hint: "Turn `autoMtls` on.",
      },
    );
  }
  if (answer) {
    const { certificatePem, privateKeyPem } = certificate;
    return { certificatePem, privateKeyPem, pluginCertificate: answer };
  }
  throw new PluginError(
    "handshake-failed",
    "The plugin answered AutoMTLS without a certificate, so it would be spoken to in plaintext.",
    {
      hint: "If it does not know AutoMTLS (plugins in Python often do not), set `autoMtls: false`; over SSH the connection is encrypted all the same.",
    },
  );
}

/** Straight to the plugin where the runner can, otherwise by way of an address on the host's side. */
async function openStream(runner: Runner, address: Address, signal: AbortSignal): Promise<Duplex> {
  if (runner.openStream) return runner.openStream(address, signal);
  const host = await runner.pluginToHost(address, signal);
  return new Promise((resolve, reject) => {
    const to = host.network === "unix" ? { path: host.path } : { host: host.host, port: host.port };
    const socket = connect({ ...to, noDelay: true }, () => resolve(socket));
    socket.on("error", (cause) =>
      reject(new PluginError("forward-failed", `The plugin cannot be reached: ${cause.message}.`, { cause })),
    );
    signal.addEventListener(
      "abort",
      () => {
        if (!socket.connecting) return;
        socket.destroy();
        reject(abortError(signal));
      },
      { once: true },
    );
  });
}

function exited(exit: ExitStatus): PluginError {
  const how = exit.code !== null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
  return new PluginError("plugin-exited", `The plugin has ended with ${how}.`);
}

function tooSlow(): PluginError {
  return new PluginError("timeout", "timeout while waiting for plugin to start");
}

function closed(): PluginError {
  return new PluginError("closed", "The plugin was killed.");
}

function notStarted(): PluginError {
  return new PluginError("closed", "The plugin is not running.", { hint: "Call `start` first." });
}
