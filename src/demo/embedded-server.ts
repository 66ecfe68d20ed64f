import ssh2 from "ssh2";
import { removePrivateDirectory } from "../lifetime/private-directory.ts";
import type { Box } from "./embedded/box.ts";
import { Door } from "./embedded/door.ts";
import { type CloseOptions, endServer } from "./embedded/end-of-server.ts";
import { type KeyFiles, writeKeyFiles } from "./embedded/key-files.ts";
import { generateKey, type KeyPair } from "./embedded/keys.ts";
import { Ledger } from "./embedded/ledger.ts";
import { type EmbeddedServerOptions, type HangPhase, resolveOptions } from "./embedded/options.ts";
import { receive } from "./embedded/visit.ts";

export type { CloseOptions, EmbeddedServerOptions, HangPhase, KeyFiles };

/** The longest time that a timer can wait for. sshd does not ping its clients by default, so neither do we. */
const NEVER_MS = 2 ** 31 - 1;

/**
 * Starts an SSH server inside this process. It listens on the loopback interface, on any free port, with keys made for
 * it, and runs commands as the current user, much as sshd would.
 */
export async function startEmbeddedServer(options: EmbeddedServerOptions = {}): Promise<EmbeddedServer> {
  const clientKey = generateKey("ed25519");
  const hostKeys = [generateKey("ed25519"), ...(options.extraHostKeys ?? []).map(generateKey)];
  const ssh = new ssh2.Server(
    { hostKeys: hostKeys.map(({ privateKey }) => privateKey), keepaliveInterval: NEVER_MS },
    (connection, info) => receive(box, connection, info),
  );
  const door = await Door.open(
    () => box,
    (socket) => ssh.injectSocket(socket),
  );
  const box: Box = {
    options: resolveOptions(options, clientKey.publicKey),
    ledger: new Ledger(),
    port: door.port,
    hangAt: options.hangAt,
  };
  return new EmbeddedServer(box, door, clientKey, hostKeys);
}

/** An SSH server in this process; see {@link startEmbeddedServer}. */
export class EmbeddedServer implements AsyncDisposable {
  readonly host = "127.0.0.1";
  readonly port: number;
  /** The account that the key opens. */
  readonly user: string;
  /** The client's private key, in OpenSSH's format. */
  readonly privateKey: string;
  /** `SHA256:` and the digest of the ed25519 host key. */
  readonly hostKeyFingerprint: string;
  /** The ed25519 host key, as a line of known_hosts. */
  readonly knownHostsLine: string;
  /** The same for every host key, in the order in which they are offered. */
  readonly knownHostsLines: readonly string[];
  readonly #box: Box;
  readonly #door: Door;
  #files: Promise<KeyFiles> | undefined;
  #closing: Promise<void> | undefined;

  constructor(box: Box, door: Door, clientKey: KeyPair, hostKeys: readonly KeyPair[]) {
    this.#box = box;
    this.#door = door;
    this.port = box.port;
    this.user = box.options.user;
    this.privateKey = clientKey.privateKey;
    this.hostKeyFingerprint = hostKeys[0]?.fingerprint ?? "";
    this.knownHostsLines = hostKeys.map(({ publicKey }) => `[${this.host}]:${this.port} ${publicKey}`);
    this.knownHostsLine = this.knownHostsLines[0] ?? "";
  }

  /** How many TCP connections are open. */
  get connections(): number {
    return this.#door.connections;
  }

  /** How many TCP connections there have been since the start. */
  get accepted(): number {
    return this.#door.accepted;
  }

  /** How many SSH channels are open. */
  get channels(): number {
    return this.#box.ledger.channels.size;
  }

  /** How many listeners are open that a client asked for. */
  get forwards(): number {
    return this.#box.ledger.forwards.size;
  }

  /** The phase from which on nothing is answered any more; may be changed at any time, for what comes after. */
  get hangAt(): HangPhase | undefined {
    return this.#box.hangAt;
  }

  set hangAt(phase: HangPhase | undefined) {
    this.#box.hangAt = phase;
  }

  /** Writes the client's key and a known_hosts file into a private directory, which goes with the server. */
  writeFiles(): Promise<KeyFiles> {
    this.#files ??= writeKeyFiles(this.privateKey, `${this.knownHostsLines.join("\n")}\n`);
    return this.#files;
  }

  /** Ends every connection with a TCP reset. Processes live on and read EOF, as with sshd. */
  resetConnections(): void {
    this.#door.reset();
  }

  /** Stops reading and sending without closing anything: a link that has gone silent. */
  freeze(): void {
    this.#door.freeze();
  }

  /** Undoes `freeze`. */
  thaw(): void {
    this.#door.thaw();
  }

  /** Closes every channel from the server's side; connections and forwards stay. */
  closeChannels(): void {
    for (const channel of [...this.#box.ledger.channels]) channel.close();
  }

  /**
   * Ends the server and all that belongs to it. Each call gives the same promise.
   *
   * @throws {PluginError} `still-running`, by default, if a client left a channel, a forward or a socket file, or if
   *   a process outlived the end of its stdin
   */
  close(options: CloseOptions = {}): Promise<void> {
    this.#closing ??= this.#end(options);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(options: CloseOptions): Promise<void> {
    try {
      await endServer(this.#box, this.#door, options);
    } finally {
      const files = await this.#files;
      if (files) await removePrivateDirectory(files.directory);
    }
  }
}
