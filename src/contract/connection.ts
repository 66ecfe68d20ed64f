import type { Duplex, Readable, Writable } from "node:stream";
import type { Address } from "./address.ts";
import type { ExitStatus } from "./runner.ts";

/** One command that runs on the other side, with its three streams. */
export interface ExecChannel {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  /**
   * Resolves when the command is known to have ended, or with `undefined` when the channel ended without saying how
   * the command did. Never rejects.
   */
  readonly exited: Promise<ExitStatus | undefined>;
  /** Resolves when the channel is over for both sides, so that it no longer counts as a session. Never rejects. */
  readonly closed: Promise<unknown>;
  /** Asks the other side to signal the command, `"TERM"` for example. Servers may ignore it. */
  signal(name: string): void;
  /** Ends the channel. The command may live on: no server is bound to end it. */
  close(): void;
}

/** Something that accepts connections, and where. */
export interface Listener {
  /** Where it can be reached, with the port that was chosen. */
  readonly address: Address;
  /** Stops accepting. Connections that were accepted go on. Never rejects. */
  close(): Promise<void>;
}

/** Commands that are started for whoever needs them next, on connections that several share. */
export interface SpareSessions {
  /** The same object for all connections that can claim what was started here. */
  readonly key: object;
  /**
   * Starts a command that is nobody's: it keeps no connection open, waits for no session, and opens no connection.
   *
   * @param giveBack ends the command, because somebody needs its session. Called once at most; resolves when it has ended
   * @throws {PluginError} `plugin-not-started` if there is no session for it, or what `exec` throws
   */
  exec(command: string, giveBack: () => Promise<unknown>, signal?: AbortSignal): Promise<ExecChannel>;
  /** Makes such a command this connection's own, as if `exec` had started it. `false` if it is gone, or not spare. */
  claim(channel: ExecChannel): boolean;
}

/** All that starting a plugin and reaching its addresses needs from SSH. */
export interface Connection extends AsyncDisposable {
  /** Who is connected to whom, for messages: `user@host:port`. */
  readonly name: string;
  /**
   * Where to connect in order to find the box again: a URL with the name that was asked for, which the OpenSSH
   * configuration may know more about. @default ssh:// and {@link name}
   */
  readonly destination?: string | undefined;
  /**
   * The same object for all connections that reach one box under one identity, where that is known: what was learnt on
   * one of them holds for the others.
   */
  readonly box?: object;
  /** Where commands can wait for whoever needs them next; a pool's connections have it. */
  readonly spare?: SpareSessions;
  /** Aborts when the connection is no longer usable; its reason is a `PluginError`, `connection-lost` or `closed`. */
  readonly lost: AbortSignal;
  /** Starts `command` through the login shell, without a PTY. Aborting `signal` gives up starting, no more. */
  exec(command: string, signal?: AbortSignal): Promise<ExecChannel>;
  /** Connects to an address as seen from the box. */
  openStream(to: Address, signal?: AbortSignal): Promise<Duplex>;
  /** Listens at an address of the box. When it resolves, the box accepts connections there. */
  listen(at: Address, onStream: (stream: Duplex) => void, signal?: AbortSignal): Promise<Listener>;
  /** Ends the connection and everything on it. May be called often; resolves when the socket is closed. */
  close(): Promise<void>;
}
