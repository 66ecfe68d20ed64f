import { setMaxListeners } from "node:events";
import type { Duplex } from "node:stream";
import type { Address } from "../../contract/address.ts";
import type { Connection, ExecChannel, Listener, SpareSessions } from "../../contract/connection.ts";
import { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";
import { discard, type Link, type LinkUser } from "./link.ts";
import type { GiveBack } from "./spares.ts";

/** Where commands are started for a lease. The same one for all leases of one box and identity. */
export interface SessionSource {
  exec(lease: LeasedConnection, command: string, signal: AbortSignal): Promise<ExecChannel>;
  execSpare(home: Link, command: string, giveBack: GiveBack, signal?: AbortSignal): Promise<ExecChannel>;
  claim(lease: LeasedConnection, channel: ExecChannel): boolean;
}

/**
 * What a lease sees: one connection, which is lost when the real one is, and over when it was given back.
 *
 * It has a home, where its listeners and streams are. Until something is on it, the first command may move it to another
 * connection to the same box that has room for it. Commands for which the home has no room run on another connection.
 */
export class LeasedConnection implements Connection, LinkUser {
  readonly name: string;
  readonly destination: string;
  readonly box: object;
  readonly spare: SpareSessions;
  readonly #source: SessionSource;
  readonly #over = new AbortController();
  readonly #ends = new Set<() => void>();
  #home: Link;
  #isSettled = false;

  constructor(source: SessionSource, home: Link, destination: string) {
    this.name = home.connection.name;
    this.destination = destination;
    this.box = source;
    this.spare = {
      key: source,
      exec: (command, giveBack, signal) => this.#execSpare(command, giveBack, signal),
      claim: (channel) => !this.lost.aborted && source.claim(this, channel),
    };
    this.#source = source;
    this.#home = home;
    setMaxListeners(0, this.lost);
    home.use(this);
  }

  get lost(): AbortSignal {
    return this.#over.signal;
  }

  /** The connection whose loss is this one's. */
  get home(): Link {
    return this.#home;
  }

  /** Whether something has been put on its home, so that it stays there. */
  get isSettled(): boolean {
    return this.#isSettled;
  }

  exec(command: string, signal?: AbortSignal): Promise<ExecChannel> {
    return within({ signal, until: [this.lost] }, (over) => this.#source.exec(this, command, over), discard);
  }

  openStream(to: Address, signal?: AbortSignal): Promise<Duplex> {
    return within(
      { signal, until: [this.lost] },
      (over) => this.#settled().openStream(to, over),
      (late) => late.on("error", () => {}).destroy(),
    );
  }

  listen(at: Address, onStream: (stream: Duplex) => void, signal?: AbortSignal): Promise<Listener> {
    return within(
      { signal, until: [this.lost] },
      (over) => this.#settled().connection.listen(at, onStream, over),
      (late) => late.close(),
    );
  }

  /** Notes a session of this lease, which ends with the lease at the latest. */
  take(link: Link, channel: ExecChannel, end: () => void): void {
    if (this.lost.aborted) return void end();
    if (!this.#isSettled && link !== this.#home) this.#moveTo(link);
    this.#isSettled = true;
    link.use(this);
    const over = () => {
      if (!this.#ends.delete(over)) return;
      end();
      link.unuse(this);
    };
    this.#ends.add(over);
    channel.closed.then(over);
  }

  onLost(link: Link, reason: PluginError): void {
    if (link === this.#home) this.end(reason);
  }

  /** It is over: whoever waits is told, and the real connections are free of it. */
  end(reason: PluginError): void {
    if (this.lost.aborted) return;
    this.#over.abort(reason);
    for (const over of [...this.#ends]) over();
    this.#home.unuse(this);
  }

  /** Gives the lease back. */
  async close(): Promise<void> {
    this.end(new PluginError("closed", `The lease of the connection to ${this.name} was given back.`));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** It outlives the lease, as does the asking for it. */
  async #execSpare(command: string, giveBack: GiveBack, signal: AbortSignal | undefined): Promise<ExecChannel> {
    throwIfAborted(this.lost);
    return this.#source.execSpare(this.#home, command, giveBack, signal);
  }

  #settled(): Link {
    this.#isSettled = true;
    return this.#home;
  }

  #moveTo(link: Link): void {
    link.use(this);
    this.#home.unuse(this);
    this.#home = link;
  }
}
