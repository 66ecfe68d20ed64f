import { connect as connectSocket, type Socket } from "node:net";
import createDebug from "debug";
import ssh2, { type AuthHandlerMiddleware, type ServerHostKeyAlgorithm } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { throwIfAborted, within } from "../lifetime/deadline.ts";
import { later } from "../lifetime/later.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { Credentials } from "./credentials.ts";
import { describeTarget, type Target } from "./destination.ts";
import { Greeting } from "./greeting.ts";
import { HostVerifier } from "./host-verifier.ts";
import { PausableTimer } from "./pausable-timer.ts";
import { SshConnection } from "./ssh-connection.ts";
import { connectionError, connectTimeout, type Phase, type VendorError } from "./ssh2-errors.ts";

const debug = createDebug("go-plugin-ssh:connect");

const CONNECT_TIMEOUT_MS = 30_000;
const SERVER_ALIVE_INTERVAL_MS = 15_000;
const SERVER_ALIVE_COUNT_MAX = 3;

/**
 * Connects to a box: dials, verifies its host key, logs in.
 *
 * @throws {PluginError} `connect-failed`, `box-refused`, `host-key-unknown`, `host-key-changed`, `host-key-revoked`,
 *   `auth-failed`, `config-error`, `timeout` or `aborted`; whatever was opened is closed then
 */
export async function openConnection(
  target: Target,
  options: ConnectOptions,
  signal?: AbortSignal,
): Promise<SshConnection> {
  return within(
    { signal },
    async (over) => {
      const attempt = new Attempt(target, options, over);
      return attempt.run();
    },
    (connection) => connection.close(),
  );
}

/** One attempt to connect, from the first packet to `ready`. */
class Attempt {
  readonly #target: Target;
  readonly #options: ConnectOptions;
  readonly #over: AbortSignal;
  readonly #client = new ssh2.Client();
  readonly #outcome = later<SshConnection>();
  readonly #timer: PausableTimer;
  readonly #greeting = new Greeting();
  readonly #verifier: HostVerifier;
  readonly #credentials: Credentials;
  #phase: Phase = "dialling";

  constructor(target: Target, options: ConnectOptions, over: AbortSignal) {
    const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    this.#target = target;
    this.#options = options;
    this.#over = over;
    const ask = <T>(question: (signal: AbortSignal) => Promise<T> | T) =>
      this.#timer.pausedDuring(() => question(over));
    this.#verifier = new HostVerifier(target, options, ask, over);
    this.#credentials = new Credentials(target, options, ask, over);
    this.#timer = new PausableTimer(connectTimeoutMs, () => {
      this.#outcome.reject(connectTimeout(connectTimeoutMs, this.#phase, target));
    });
  }

  async run(): Promise<SshConnection> {
    const giveUp = () => this.#outcome.reject(new PluginError("aborted", "The connecting was given up."));
    this.#over.addEventListener("abort", giveUp, { once: true });
    try {
      const algorithms = await this.#verifier.algorithms();
      throwIfAborted(this.#over);
      return await this.#connect(algorithms);
    } finally {
      this.#timer.stop();
      this.#over.removeEventListener("abort", giveUp);
    }
  }

  async #connect(algorithms: ServerHostKeyAlgorithm[]): Promise<SshConnection> {
    const started = performance.now();
    const { host, port } = this.#target;
    // Nagle's algorithm would hold each small packet back for 40 ms; told to the socket at once, it costs no round trip.
    const socket = connectSocket({ host, port, noDelay: true, keepAlive: true });
    try {
      this.#listen(socket);
      this.#client.connect(this.#config(socket, algorithms));
      const connection = await this.#outcome.promise;
      debug("%s ready after %d ms", describeTarget(this.#target), Math.round(performance.now() - started));
      return connection;
    } catch (failure) {
      this.#client.on("error", () => {});
      this.#client.end();
      socket.on("error", () => {}).destroy();
      throw failure;
    }
  }

  #listen(socket: Socket): void {
    const client = this.#client;
    const enter = (phase: Phase) => {
      this.#phase = phase;
    };
    socket.once("connect", () => enter("banner"));
    const onData = (chunk: Buffer) => {
      if (!this.#greeting.push(chunk)) return;
      socket.off("data", onData);
      enter("key exchange");
    };
    socket.on("data", onData);
    client.on("handshake", (negotiated) => {
      debug("%s: %s, %s", describeTarget(this.#target), negotiated.kex, negotiated.cs.cipher);
      if (this.#phase === "key exchange") enter("authentication");
    });
    client.on("change password", () => {
      this.#credentials.note("the password has expired, and the server wants a new one");
      this.#outcome.reject(this.#credentials.error(undefined));
    });
    const onError = (failure: VendorError) => this.#onError(failure);
    const onClose = () => onError(new Error("the server closed the connection"));
    client.on("error", onError);
    client.on("close", onClose);
    client.once("ready", () => {
      enter("ready");
      client.off("error", onError);
      client.off("close", onClose);
      this.#outcome.resolve(new SshConnection(client, socket, this.#target));
    });
  }

  #onError(failure: VendorError): void {
    // An agent that fails is one attempt less, not the end.
    if (failure.level === "agent") this.#credentials.note(`the agent failed (${failure.message})`);
    else this.#outcome.reject(this.#errorFor(failure));
  }

  #errorFor(failure: VendorError): PluginError {
    if (failure.level === "client-authentication") return this.#credentials.error(failure);
    // The server's own word for why it ends the connection (RFC 4253 §11.1).
    const disconnected = typeof failure.code === "number";
    if (this.#phase === "authentication" && disconnected) return this.#credentials.error(failure, failure.message);
    return connectionError(failure, this.#phase, this.#target, this.#greeting.toString());
  }

  #config(sock: Socket, serverHostKey: ServerHostKeyAlgorithm[]) {
    const { serverAliveIntervalMs = SERVER_ALIVE_INTERVAL_MS, serverAliveCountMax = SERVER_ALIVE_COUNT_MAX } =
      this.#options;
    const fail = (failure: unknown) => this.#outcome.reject(failure);
    const authHandler: AuthHandlerMiddleware = (allowed, partial, next) => {
      const offered = this.#credentials.next(allowed ?? undefined, partial ?? false);
      offered.then((offer) => this.#over.aborted || next((offer ?? false) as never)).catch(fail);
    };
    return {
      sock,
      username: this.#target.user,
      authHandler,
      debug: (text: string) => this.#credentials.overhear(text),
      hostVerifier: (key: Buffer, answer: (trusted: boolean) => void) => {
        // An answer that comes later lets ssh2 send data amid an exchange of keys, and the server takes it for garbage.
        if (this.#verifier.knows(key)) return answer(true);
        const refuse = (failure: unknown) => {
          fail(failure);
          answer(false);
        };
        this.#verifier
          .verify(key)
          .then(() => answer(true), refuse)
          .catch(fail);
      },
      algorithms: { serverHostKey },
      // The server's answers tell what it can do, not its name.
      strictVendor: false,
      readyTimeout: 0,
      keepaliveInterval: serverAliveIntervalMs,
      keepaliveCountMax: serverAliveCountMax,
    };
  }
}
