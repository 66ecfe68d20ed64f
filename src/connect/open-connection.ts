import type { Duplex } from "node:stream";
import createDebug from "debug";
import ssh2, { type Algorithms, type AuthHandlerMiddleware } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { throwIfAborted, within } from "../lifetime/deadline.ts";
import { later } from "../lifetime/later.ts";
import { transportAlgorithms } from "./algorithms.ts";
import { say } from "./config/notices.ts";
import { Credentials } from "./credentials.ts";
import { CONNECT_TIMEOUT_MS, SERVER_ALIVE_COUNT_MAX, SERVER_ALIVE_INTERVAL_MS } from "./default-patience.ts";
import { describeTarget } from "./destination.ts";
import { Greeting } from "./greeting.ts";
import { HostVerifier } from "./host-verifier.ts";
import { PausableTimer } from "./pausable-timer.ts";
import type { Settings } from "./settings.ts";
import { SshConnection } from "./ssh-connection.ts";
import { connectionError, connectTimeout, type Phase, type Step, type VendorError } from "./ssh2-errors.ts";
import type { Errand, OpenHop } from "./way/errand.ts";
import { onErrand } from "./way/on-errand.ts";
import { openWay } from "./way/open-way.ts";
import type { Way } from "./way/way.ts";

const debug = createDebug("go-plugin-ssh:connect");

/**
 * Connects to a box: finds a way to it, verifies its host key, logs in.
 *
 * @param openHop connects to the jump hosts on the way
 * @param errand what it is for, if it is a jump host itself
 * @throws {PluginError} `connect-failed`, `box-refused`, `host-key-unknown`, `host-key-changed`, `host-key-revoked`,
 *   `auth-failed`, `config-error`, `timeout` or `aborted`, of a jump host too, and `forward-forbidden` of one; whatever
 *   was opened is closed then
 */
export async function openConnection(
  settings: Settings,
  openHop: OpenHop,
  signal?: AbortSignal,
  errand?: Errand,
): Promise<SshConnection> {
  return within(
    { signal },
    async (over) => {
      const attempt = new Attempt(settings, openHop, over, errand);
      return attempt.run();
    },
    (connection) => connection.close(),
  );
}

/** One attempt to connect, from the first packet to `ready`. */
class Attempt {
  readonly #settings: Settings;
  readonly #openHop: OpenHop;
  readonly #over: AbortSignal;
  readonly #errand: Errand | undefined;
  readonly #client = new ssh2.Client();
  readonly #outcome = later<SshConnection>();
  readonly #timer: PausableTimer;
  readonly #greeting = new Greeting();
  readonly #verifier: HostVerifier;
  readonly #credentials: Credentials;
  #way: Way | undefined;
  #phase: Phase = "dialling";
  /** Where the whole stands, which may be at a jump host. */
  #last: Step;

  constructor(settings: Settings, openHop: OpenHop, over: AbortSignal, errand: Errand | undefined) {
    const { target, options } = settings;
    const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    this.#settings = settings;
    this.#openHop = openHop;
    this.#over = over;
    this.#errand = errand;
    this.#last = { phase: this.#phase, target };
    const ask = <T>(question: (signal: AbortSignal) => Promise<T> | T) =>
      this.#timer.pausedDuring(() => question(over));
    this.#verifier = new HostVerifier(target, options, ask, over);
    this.#credentials = new Credentials(target, options, ask, over);
    this.#timer = new PausableTimer(connectTimeoutMs, () => {
      this.#fail(connectTimeout(connectTimeoutMs, this.#last, target));
    });
  }

  async run(): Promise<SshConnection> {
    const giveUp = () => this.#outcome.reject(new PluginError("aborted", "The connecting was given up."));
    this.#over.addEventListener("abort", giveUp, { once: true });
    try {
      const chosen = transportAlgorithms(this.#settings.options, (text) => say(this.#settings.options, text));
      const serverHostKey = await this.#verifier.algorithms();
      throwIfAborted(this.#over);
      return await this.#connect({ serverHostKey, ...chosen });
    } finally {
      this.#timer.stop();
      this.#over.removeEventListener("abort", giveUp);
    }
  }

  async #connect(algorithms: Algorithms): Promise<SshConnection> {
    const started = performance.now();
    const name = describeTarget(this.#settings.target);
    const way = await this.#openWay();
    try {
      this.#way = way;
      this.#listen(way);
      this.#client.connect(this.#config(way.stream, algorithms));
      const connection = await this.#outcome.promise;
      debug("%s ready after %d ms", name, Math.round(performance.now() - started));
      return connection;
    } catch (failure) {
      this.#client.on("error", () => {});
      this.#client.end();
      void way.close();
      throw failure;
    }
  }

  #openWay(): Promise<Way> {
    const attempted = {
      target: this.#settings.target,
      errand: this.#errand,
      entered: (step: Step) => this.#at(step),
      timer: this.#timer,
      outcome: this.#outcome.promise,
    };
    return onErrand(attempted, (errand, over) => openWay(this.#settings, this.#openHop, errand, over));
  }

  #enter(phase: Phase): void {
    this.#phase = phase;
    this.#at({ phase, target: this.#settings.target });
  }

  #at(step: Step): void {
    this.#last = step;
    this.#errand?.entered(step);
  }

  #listen(way: Way): void {
    const { stream } = way;
    const client = this.#client;
    const { target } = this.#settings;
    this.#enter("banner");
    const onData = (chunk: Buffer) => {
      if (!this.#greeting.push(chunk)) return;
      stream.off("data", onData);
      this.#enter("key exchange");
    };
    stream.on("data", onData);
    client.on("handshake", (negotiated) => {
      debug("%s: %s, %s", describeTarget(target), negotiated.kex, negotiated.cs.cipher);
      if (this.#phase === "key exchange") this.#enter("authentication");
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
      this.#enter("ready");
      client.off("error", onError);
      client.off("close", onClose);
      this.#outcome.resolve(new SshConnection(client, way, target));
    });
  }

  #onError(failure: VendorError): void {
    // A key that could not be signed with is one attempt less, not the end.
    if (failure.level !== "agent") this.#fail(this.#errorFor(failure));
  }

  #fail(failure: PluginError): void {
    this.#outcome.reject(this.#way?.explain(failure) ?? failure);
  }

  #errorFor(failure: VendorError): PluginError {
    if (failure.level === "client-authentication") return this.#credentials.error(failure);
    // The server's own word for why it ends the connection (RFC 4253 §11.1).
    const disconnected = typeof failure.code === "number";
    if (this.#phase === "authentication" && disconnected) return this.#credentials.error(failure, failure.message);
    return connectionError(failure, this.#phase, this.#settings.target, this.#greeting.toString());
  }

  #config(sock: Duplex, algorithms: Algorithms) {
    const { serverAliveIntervalMs = SERVER_ALIVE_INTERVAL_MS, serverAliveCountMax = SERVER_ALIVE_COUNT_MAX } =
      this.#settings.options;
    const fail = (failure: unknown) => this.#outcome.reject(failure);
    const authHandler: AuthHandlerMiddleware = (allowed, partial, next) => {
      const offered = this.#credentials.next(allowed ?? undefined, partial ?? false);
      offered.then((offer) => this.#over.aborted || next((offer ?? false) as never)).catch(fail);
    };
    return {
      sock,
      username: this.#settings.target.user,
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
      algorithms,
      // The server's answers tell what it can do, not its name.
      strictVendor: false,
      readyTimeout: 0,
      keepaliveInterval: serverAliveIntervalMs,
      keepaliveCountMax: serverAliveCountMax,
    };
  }
}
