import type { Duplex } from "node:stream";
import type { PluginError } from "../contract/errors.ts";
import type { AttachedRunner } from "../contract/runner.ts";
import { GrpcBroker } from "../dial/broker/grpc-broker.ts";
import { PluginChannel } from "../dial/plugin-channel.ts";
import type { PluginTls } from "../dial/secure.ts";
import { makePrivateDirectory, removePrivateDirectory } from "../lifetime/private-directory.ts";
import { PluginSession } from "./plugin-session.ts";

/** A plugin that listens. */
export interface ReachablePlugin {
  readonly runner: AttachedRunner;
  readonly tls: PluginTls | undefined;
  /** Connects to it. */
  readonly open: (signal: AbortSignal) => Promise<Duplex>;
  /** Whether all connections travel in one. */
  readonly multiplex: boolean;
  /** Where this side's sockets are made. */
  readonly tempDir: string | undefined;
}

/** What connects a host with its plugin: gRPC calls, and the broker for all that goes beside them. */
export class PluginConnection {
  readonly channel: PluginChannel;
  readonly broker: GrpcBroker;
  readonly #session: PluginSession | undefined;
  readonly #tempDir: string | undefined;
  #directory: Promise<string> | undefined;
  #closing: Promise<void> | undefined;

  /**
   * When it resolves, the plugin has been reached and has proved to be the right one.
   *
   * @throws {PluginError} what `open` threw, or `handshake-failed`
   */
  static async open(plugin: ReachablePlugin, signal: AbortSignal): Promise<PluginConnection> {
    // A plugin that multiplexes takes one connection in its life, and waits five seconds for it.
    const session = plugin.multiplex ? new PluginSession(await plugin.open(signal)) : undefined;
    const connection = new PluginConnection(plugin, session);
    try {
      await connection.channel.connect(signal);
      return connection;
    } catch (failure) {
      await connection.close(failure as PluginError);
      throw failure;
    }
  }

  private constructor({ runner, tls, open, tempDir }: ReachablePlugin, session: PluginSession | undefined) {
    this.#session = session;
    this.#tempDir = tempDir;
    this.channel = new PluginChannel({ tls, open: session ? (signal) => session.connect(signal) : open });
    this.broker = new GrpcBroker({
      transport: this.channel.transport,
      tls,
      translator: runner,
      multiplexer: session,
      socketDirectory: () => this.#socketDirectory(),
    });
  }

  /** Whether all connections travel in one. */
  get multiplexed(): boolean {
    return this.#session !== undefined;
  }

  /** Ends the connection, and the broker's with it; calls that are under way fail with `reason`. Never rejects. */
  close(reason: PluginError): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: PluginError): Promise<void> {
    await this.broker.close(reason);
    this.channel.close(reason);
    this.#session?.close(reason);
    const directory = await this.#directory?.catch(() => undefined);
    if (directory !== undefined) await removePrivateDirectory(directory).catch(() => {});
  }

  /** The directory for the broker's sockets, which is made when the first one is needed. */
  #socketDirectory(): Promise<string> {
    this.#directory ??= makePrivateDirectory(this.#tempDir);
    return this.#directory;
  }
}
