import { connect as connectSocket, type Socket } from "node:net";
import createDebug from "debug";
import ssh2, { type AuthHandlerMiddleware, type ServerHostKeyAlgorithm } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { later } from "../lifetime/later.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { Credentials } from "./credentials.ts";
import { describeTarget, type Target } from "./destination.ts";
import { hostKeyAlgorithms } from "./host-key-algorithms.ts";
import { verifyHostKey } from "./host-keys.ts";
import { expandHome } from "./identity-files.ts";
import { readKnownHosts } from "./known-hosts.ts";
import { defaultKnownHostsFiles } from "./known-hosts-files.ts";
import { PausableTimer } from "./pausable-timer.ts";
import { SshConnection } from "./ssh-connection.ts";
import { connectionError, connectTimeout, type Phase, type VendorError } from "./ssh2-errors.ts";

const debug = createDebug("go-plugin-ssh:connect");

const CONNECT_TIMEOUT_MS = 30_000;
const SERVER_ALIVE_INTERVAL_MS = 15_000;
const SERVER_ALIVE_COUNT_MAX = 3;

/** What ssh2 can verify, in OpenSSH's order of preference. Both kinds of RSA with SHA-1 and DSA are left out. */
const HOST_KEY_ALGORITHMS = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
] as const satisfies readonly ServerHostKeyAlgorithm[];

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
  #phase: Phase = "dialling";
  #credentials: Credentials;

  constructor(target: Target, options: ConnectOptions, over: AbortSignal) {
    const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = options;
    this.#target = target;
    this.#options = options;
    this.#over = over;
    this.#timer = new PausableTimer(connectTimeoutMs, () => {
      this.#outcome.reject(connectTimeout(connectTimeoutMs, this.#phase, target));
    });
    const ask = <T>(question: (signal: AbortSignal) => Promise<T> | T) =>
      this.#timer.pausedDuring(() => question(over));
    this.#credentials = new Credentials(target, options, ask, over);
  }

  async run(): Promise<SshConnection> {
    const started = performance.now();
    const known = { ...this.#target, ...this.#knownHosts() };
    const serverHostKey = hostKeyAlgorithms(await readKnownHosts(known, this.#over), HOST_KEY_ALGORITHMS);
    const { host, port } = this.#target;
    // Nagle's algorithm would hold each small packet back for 40 ms; told to the socket at once, it costs no round trip.
    const socket = connectSocket({ host, port, noDelay: true, keepAlive: true });
    const giveUp = () => this.#outcome.reject(new PluginError("aborted", "The connecting was given up."));
    this.#over.addEventListener("abort", giveUp, { once: true });
    try {
      this.#listen(socket);
      this.#client.connect(this.#config(socket, serverHostKey as ServerHostKeyAlgorithm[]));
      const connection = await this.#outcome.promise;
      debug("%s ready after %d ms", describeTarget(this.#target), Math.round(performance.now() - started));
      return connection;
    } catch (failure) {
      this.#client.on("error", () => {});
      this.#client.end();
      socket.on("error", () => {}).destroy();
      throw failure;
    } finally {
      this.#timer.stop();
      this.#over.removeEventListener("abort", giveUp);
    }
  }

  #listen(socket: Socket): void {
    const client = this.#client;
    const enter = (phase: Phase) => {
      this.#phase = phase;
    };
    socket.once("connect", () => enter("banner"));
    socket.once("data", () => this.#phase === "banner" && enter("key exchange"));
    client.on("handshake", (negotiated) => {
      debug("%s: %s, %s", describeTarget(this.#target), negotiated.kex, negotiated.cs.cipher);
      enter("authentication");
    });
    const onError = (failure: VendorError) => {
      // An agent that fails is one attempt less, not the end.
      if (failure.level === "agent") return this.#credentials.note(`the agent failed (${failure.message})`);
      this.#outcome.reject(
        failure.level === "client-authentication"
          ? this.#credentials.error(failure)
          : connectionError(failure, this.#phaseOf(failure), this.#target),
      );
    };
    const onClose = () => onError(new Error("the server closed the connection"));
    client.on("error", onError);
    client.on("close", onClose);
    client.once("ready", () => {
      client.off("error", onError);
      client.off("close", onClose);
      this.#outcome.resolve(new SshConnection(client, socket, this.#target));
    });
  }

  /** ssh2 has seen no SSH banner although bytes came: the server talked of something else and hung up. */
  #phaseOf(failure: VendorError): Phase {
    return /before handshake/i.test(failure.message) ? "banner" : this.#phase;
  }

  #config(sock: Socket, serverHostKey: ServerHostKeyAlgorithm[]) {
    const { serverAliveIntervalMs = SERVER_ALIVE_INTERVAL_MS, serverAliveCountMax = SERVER_ALIVE_COUNT_MAX } =
      this.#options;
    const authHandler: AuthHandlerMiddleware = (allowed, _partial, next) => {
      this.#credentials.next(allowed ?? undefined).then((offer) => next((offer ?? false) as never));
    };
    return {
      sock,
      username: this.#target.user,
      authHandler,
      hostVerifier: (key: Buffer, answer: (trusted: boolean) => void) => {
        this.#verify(key).then(answer);
      },
      algorithms: { serverHostKey },
      // The server's answers tell what it can do, not its name.
      strictVendor: false,
      readyTimeout: 0,
      keepaliveInterval: serverAliveIntervalMs,
      keepaliveCountMax: serverAliveCountMax,
    };
  }

  async #verify(key: Buffer): Promise<boolean> {
    const { hostKeyFingerprints, strictHostKeyChecking = "yes" } = this.#options;
    const { host, port } = this.#target;
    try {
      const question = {
        key,
        host,
        port,
        hostKeyFingerprints,
        strictHostKeyChecking,
        ...this.#knownHosts(),
        signal: this.#over,
      };
      await verifyHostKey(question);
      return true;
    } catch (failure) {
      this.#outcome.reject(failure);
      return false;
    }
  }

  #knownHosts() {
    const { userKnownHostsFile, globalKnownHostsFile, hostKeyAlias } = this.#options;
    const defaults = defaultKnownHostsFiles();
    return {
      hostKeyAlias,
      userKnownHostsFile: files(userKnownHostsFile) ?? defaults.userKnownHostsFile,
      globalKnownHostsFile: files(globalKnownHostsFile) ?? defaults.globalKnownHostsFile,
    };
  }
}

function files(option: string | readonly string[] | undefined): string[] | undefined {
  return option === undefined ? undefined : [option].flat().map(expandHome);
}
