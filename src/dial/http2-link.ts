import { setMaxListeners } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type OutgoingHttpHeaders,
} from "node:http2";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { later } from "../lifetime/later.ts";
import { type Losses, unavailable } from "./explain-loss.ts";
import { responseChunks } from "./response-chunks.ts";

const debug = createDebug("go-plugin-ssh:dial");

/** HTTP/2 begins with 64 KiB in flight, which is 0.65 MB/s at a round trip of 100 ms. */
const STREAM_WINDOW = 8 * 1024 * 1024;
const CONNECTION_WINDOW = 16 * 1024 * 1024;
/** In megabytes. Node refuses streams past 10, and gRPC plugins send messages larger than that. */
const SESSION_MEMORY = 4096;

/** How a link is made. */
export interface Http2LinkOptions {
  /**
   * When a connection counts, so that requests go out on it.
   *
   * - `"settings"`: when the other side's SETTINGS came, which shows that it speaks HTTP/2 and takes our certificate
   * - `"opened"`: at once, for a stream behind which the plugin is known to be. It saves a round trip. What would have
   *   been said against the connection is then the reason why the first requests fail.
   *
   * @default "settings"
   */
  countsWhen?: "settings" | "opened";
  /** Finds better words for what ended a connection before it was proven. @default none */
  explain?: (cause: Error) => PluginError | undefined;
}

type State =
  | { is: "idle" }
  | { is: "connecting"; session: Promise<ClientHttp2Session> }
  | { is: "ready"; session: ClientHttp2Session }
  | { is: "closed"; reason: PluginError };

/**
 * One HTTP/2 connection to a plugin, made anew when it was lost, over whatever stream `open` gives. It is what
 * Connect's transport calls a session manager.
 */
export class Http2Link implements Losses {
  readonly authority: string;
  readonly #open: (signal: AbortSignal) => Promise<Duplex>;
  readonly #isEager: boolean;
  readonly #explain: (cause: Error) => PluginError | undefined;
  readonly #over = new AbortController();
  #state: State = { is: "idle" };
  /** Those that are open below the sessions. Node leaves one open for ever if the other side went during a write. */
  readonly #streams = new Set<Duplex>();
  #lost = 0;
  #early: PluginError | undefined;

  /** @param authority `http://localhost`, or `https://localhost` if `open` gives a stream with TLS */
  constructor(
    authority: string,
    open: (signal: AbortSignal) => Promise<Duplex>,
    { countsWhen = "settings", explain = () => undefined }: Http2LinkOptions = {},
  ) {
    this.authority = authority;
    this.#open = open;
    this.#isEager = countsWhen === "opened";
    this.#explain = explain;
    setMaxListeners(0, this.over);
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  get losses(): number {
    const state = this.#state;
    const isLost = state.is === "closed" || (state.is === "ready" && isGone(state.session));
    return this.#lost + (isLost ? 1 : 0);
  }

  get early(): PluginError | undefined {
    return this.#early;
  }

  /** When it resolves there is a connection. */
  async connect(): Promise<void> {
    await this.#session();
  }

  /** Begins a request, on the connection that there is or on a new one. */
  async request(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders,
    options: object,
  ): Promise<ClientHttp2Stream> {
    for (;;) {
      const session = await this.#session().catch((failure) => {
        throw unavailable(failure);
      });
      try {
        const stream = session.request({ ...headers, ":method": method, ":path": path }, options);
        return Object.defineProperty(stream, Symbol.asyncIterator, { value: () => responseChunks(stream) });
      } catch (failure) {
        // The connection may have gone between the two lines above; then another one is made.
        if (!isGone(session)) throw failure;
      }
    }
  }

  /** Connect tells when bytes arrive, for keep-alive; SSH has its own. */
  notifyResponseByteRead(): void {}

  /** Ends the connection; requests fail from now on, those under way too. */
  close(reason: PluginError): void {
    const state = this.#state;
    if (state.is === "closed") return;
    this.#state = { is: "closed", reason };
    this.#over.abort(reason);
    // Without a code, Node ends the streams as if they were complete, and calls would wait for an answer for ever.
    if (state.is === "ready") state.session.destroy(unavailable(reason), constants.NGHTTP2_CANCEL);
    for (const stream of this.#streams) stream.destroy();
  }

  async #session(): Promise<ClientHttp2Session> {
    const state = this.#state;
    if (state.is === "closed") throw state.reason;
    if (state.is === "connecting") return state.session;
    if (state.is === "ready") {
      if (!isGone(state.session)) return state.session;
      this.#lost += 1;
    }
    const session = this.#connect();
    this.#state = { is: "connecting", session };
    try {
      const ready = await session;
      if (this.#isClosed(this.#state)) ready.destroy(undefined, constants.NGHTTP2_CANCEL);
      else this.#state = { is: "ready", session: ready };
      return ready;
    } catch (failure) {
      if (!this.#isClosed(this.#state)) this.#state = { is: "idle" };
      throw failure;
    }
  }

  #isClosed(state: State): boolean {
    return state.is === "closed";
  }

  async #connect(): Promise<ClientHttp2Session> {
    const stream = await this.#open(this.#over.signal);
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    if (this.#over.signal.aborted) {
      stream.destroy();
      throw this.#over.signal.reason;
    }
    const ready = later<ClientHttp2Session>();
    let proven = false;
    // Before Node's own listener, which would tell requests of the alert and not of what it means.
    stream.once("error", (failure) => end(failure));
    const session = connect(this.authority, {
      createConnection: () => stream,
      settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
      maxSessionMemory: SESSION_MEMORY,
    });
    const lost = (cause?: Error) => {
      const why = cause && this.#explain(cause);
      const reason = why ?? closedEarly(cause, this.#isEager);
      if (!proven) this.#early = why ?? this.#early ?? reason;
      ready.reject(reason);
      return reason;
    };
    // A TLS alert after the handshake ends the connection, and Node tells of it without closing anything.
    const end = (failure?: Error) => {
      const reason = lost(failure);
      session.destroy(proven ? failure : unavailable(reason), constants.NGHTTP2_CANCEL);
    };
    // HTTP/2 knows no half-closed connections, and Node does not look at the end of a socket that may be one.
    stream.once("end", () => stream.destroy());
    session.on("error", (failure) => {
      debug("%s", failure.message);
      lost(failure);
    });
    session.on("close", () => {
      stream.destroy();
      lost();
    });
    session.on("goaway", (code) => debug("goaway %d", code));
    session.once("connect", () => isGone(session) || session.setLocalWindowSize(CONNECTION_WINDOW));
    // As in gRPC for Go: only what the other side says shows that it speaks HTTP/2, and takes our certificate in TLS 1.3.
    session.once("remoteSettings", () => {
      proven = true;
      this.#early = undefined;
      ready.resolve(session);
    });
    if (this.#isEager) ready.resolve(session);
    // The stream's own end counts: Node does not tell of every session's.
    stream.once("close", () => (proven ? lost() : end()));
    return within({ until: [this.over] }, () => ready.promise).catch((failure) => {
      session.destroy(undefined, constants.NGHTTP2_CANCEL);
      stream.destroy();
      throw failure;
    });
  }
}

/** @param mayRefuse whether the plugin may not have said yet that it takes our certificate: its word can get lost with the connection */
function closedEarly(cause: Error | undefined, mayRefuse: boolean): PluginError {
  return new PluginError("connection-lost", "The plugin closed the connection before the first call.", {
    cause,
    hint: mayRefuse
      ? "If it lives, it refuses our certificate: its log, and the clocks of both machines, may tell why."
      : "",
  });
}

/** Whether a session takes no more requests. */
function isGone(session: ClientHttp2Session): boolean {
  return session.closed || session.destroyed;
}
