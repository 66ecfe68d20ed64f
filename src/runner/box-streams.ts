import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import createDebug from "debug";
import { type Address, formatAddress } from "../contract/address.ts";
import type { Connection, Listener } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { openRelay } from "../exec/open-relay.ts";
import { listenByRelay } from "../exec/relay-listener.ts";
import { canListen, type RelayTool } from "../exec/relay-tool.ts";
import type { Exec } from "../exec/run-program.ts";
import { within } from "../lifetime/deadline.ts";
import { OpenStreams } from "../lifetime/open-streams.ts";
import { explainRefusal } from "./explain-refusal.ts";
import { cannotListen, isRefusedListen, messageOf, noSession, noTool, withOffer } from "./relay-failures.ts";
import { RelayMemory } from "./relay-memory.ts";

const debug = createDebug("go-plugin-ssh:forward");

/** When a relay takes the place of the server's own forwarding. */
export type RelayMode = "auto" | "never" | "always";

/** The connections to addresses of one plugin's box, and from there: by the server, or by relays where it refuses. */
export class BoxStreams {
  readonly #connection: Connection;
  readonly #exec: Exec;
  readonly #mode: RelayMode;
  readonly #directory: string;
  readonly #memory: RelayMemory;
  readonly #open = new OpenStreams("read");
  #closed = false;

  /** @param directory the supervisor's private one on the box */
  constructor(connection: Connection, exec: Exec, { relay, directory }: { relay: RelayMode; directory: string }) {
    this.#connection = connection;
    this.#exec = exec;
    this.#mode = relay;
    this.#directory = directory;
    this.#memory = RelayMemory.of(connection);
  }

  /** Connects to an address of the box. */
  async open(to: Address, signal?: AbortSignal): Promise<Duplex> {
    const stream = await this.#connect(to, signal);
    if (this.#closed) {
      stream.on("error", () => {}).destroy();
      throw new PluginError("closed", "The addresses of this plugin are reached no more.");
    }
    this.#open.add(stream);
    return stream;
  }

  /** Listens on the box; where the server does not do that for unix sockets, on a TCP port or by a relay. */
  async listen(at: Address, onStream: (stream: Duplex) => void, signal?: AbortSignal): Promise<Listener> {
    const known = this.#mode === "auto" ? this.#memory.listens.get(at.network) : undefined;
    if (this.#mode === "always" || known === "relay") return this.#listenByRelay(at, onStream, signal);
    if (known === "tcp") return this.#connection.listen(ANY_PORT, onStream, signal);
    try {
      return await this.#connection.listen(at, onStream, signal);
    } catch (failure) {
      if (!isRefusedListen(failure)) throw failure;
      if (this.#mode === "never") throw withOffer(failure);
      return this.#listenOtherwise(at, onStream, failure, signal);
    }
  }

  /** What is not as usual, in lines for people. */
  notes(): string[] {
    const { unreachable, listens, knownTool } = this.#memory;
    const relay = `a relay on the box (${knownTool ?? "not looked for yet"})`;
    return [
      ...(this.#mode === "always" ? [`Every connection goes through ${relay}, as asked for.`] : []),
      ...[...unreachable].map((network) => `The server does not connect to ${network} addresses: ${relay} does.`),
      ...[...listens].map(
        ([network, by]) =>
          `The server does not listen on ${network} addresses: ${by === "tcp" ? "a TCP port of the box" : relay} does.`,
      ),
    ];
  }

  /** Resolves when no connection is open. */
  settled(): Promise<void> {
    return this.#open.over();
  }

  /** Ends every connection that is open. On a connection that others use too, nobody else would. */
  close(): void {
    this.#closed = true;
    this.#open.destroy();
  }

  async #connect(to: Address, signal: AbortSignal | undefined): Promise<Duplex> {
    if (this.#mode === "always" || this.#isUnreachable(to)) return this.#relay(to, signal);
    try {
      return await this.#connection.openStream(to, signal);
    } catch (failure) {
      const refusal = await this.#judge(failure, to, signal);
      if (refusal === undefined) return this.#relay(to, signal);
      if (refusal.isPolicy === "no") throw refusal.failure;
      if (this.#mode === "never") throw withOffer(refusal.failure);
      debug("%s: %s", formatAddress(to), messageOf(refusal.failure));
      const stream = await this.#relay(to, signal, refusal.failure);
      this.#memory.unreachable.add(to.network);
      return stream;
    }
  }

  /** Whose fault it is; `undefined` if another one has found out meanwhile that it is the server's. */
  #judge(failure: unknown, to: Address, signal: AbortSignal | undefined) {
    const judge = () =>
      this.#memory.inTurn(async () => {
        if (this.#isUnreachable(to)) return undefined;
        const refusal = await explainRefusal(failure, this.#exec, to, signal);
        if (refusal.isPolicy === "yes") this.#memory.unreachable.add(to.network);
        return refusal;
      });
    return within({ signal }, judge);
  }

  #isUnreachable(to: Address): boolean {
    return this.#mode !== "never" && this.#memory.unreachable.has(to.network);
  }

  async #relay(to: Address, signal: AbortSignal | undefined, refusal?: unknown): Promise<Duplex> {
    try {
      const tool = await this.#tool(to, signal, refusal);
      const stream = await openRelay(this.#exec, tool, to, { signal, lost: this.#connection.lost });
      debug("%s is reached through a relay on the box: %s", formatAddress(to), tool);
      return stream;
    } catch (failure) {
      throw noSession(failure, `to ${formatAddress(to)}`);
    }
  }

  async #tool(address: Address, signal: AbortSignal | undefined, refusal?: unknown): Promise<RelayTool> {
    const tool = await this.#memory.tool(this.#exec, signal);
    if (tool !== "none") return tool;
    throw noTool(address, refusal);
  }

  async #listenOtherwise(
    at: Address,
    onStream: (stream: Duplex) => void,
    refusal: PluginError,
    signal: AbortSignal | undefined,
  ): Promise<Listener> {
    debug("%s: %s", formatAddress(at), refusal.message);
    if (at.network === "unix") {
      try {
        const listener = await this.#connection.listen(ANY_PORT, onStream, signal);
        this.#memory.listens.set(at.network, "tcp");
        debug("listening on %s of the box instead", formatAddress(listener.address));
        return listener;
      } catch (failure) {
        if (!isRefusedListen(failure)) throw failure;
      }
    }
    const listener = await this.#listenByRelay(at, onStream, signal, refusal);
    this.#memory.listens.set(at.network, "relay");
    return listener;
  }

  async #listenByRelay(
    at: Address,
    onStream: (stream: Duplex) => void,
    signal: AbortSignal | undefined,
    refusal?: unknown,
  ): Promise<Listener> {
    const { lost } = this.#connection;
    try {
      const tool = await this.#tool(at, signal, refusal);
      if (!canListen(tool)) throw cannotListen(at, tool, refusal);
      const options = {
        tool,
        at,
        meeting: `${this.#directory}/r-${randomBytes(4).toString("hex")}`,
        connect: (to: Address) => this.#connect(to, undefined),
        onStream,
        onFailure: (failure: unknown) => debug("no connection from %s: %s", formatAddress(at), messageOf(failure)),
      };
      const listener = await listenByRelay(this.#exec, options, { signal, lost });
      debug("a relay listens on %s of the box: %s", formatAddress(listener.address), tool);
      return listener;
    } catch (failure) {
      throw noSession(failure, `that listens on ${formatAddress(at)}`);
    }
  }
}

const ANY_PORT: Address = { network: "tcp", host: "127.0.0.1", port: 0 };
