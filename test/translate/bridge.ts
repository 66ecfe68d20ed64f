import { type Mock, vi } from "vitest";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import type { Address } from "../../src/contract/address.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { AddressBook } from "../../src/translate/address-book.ts";
import { loginWithKey } from "../connect/login.ts";
import { Scratch } from "../connect/scratch.ts";
import type { TestServer } from "../servers/server.ts";

/** Which way addresses are translated. */
export type Way = "plugin to host" | "host to plugin";

/** An address book over a real connection, with private directories for both sides. */
export class Bridge implements AsyncDisposable {
  readonly connection: Connection;
  readonly book: AddressBook;
  readonly scratch: Scratch;
  /** How the book reaches the plugin; counts. */
  readonly openStream: Mock<Connection["openStream"]>;

  private constructor(connection: Connection, scratch: Scratch, hostNetwork: "unix" | "tcp") {
    this.connection = connection;
    this.scratch = scratch;
    this.openStream = vi.fn<Connection["openStream"]>((to, signal) => connection.openStream(to, signal));
    const { openStream } = this;
    const boxDirectory = scratch.path("box");
    this.book = new AddressBook({ connection, openStream, boxDirectory, platform: "Linux", hostNetwork });
  }

  /** Connects to `server`; the host's listeners are of `hostNetwork`. */
  static async make(
    server: TestServer,
    { hostNetwork = "unix", ...options }: ConnectOptions & { hostNetwork?: "unix" | "tcp" } = {},
  ): Promise<Bridge> {
    const scratch = await Scratch.make();
    await scratch.mkdir("box");
    await scratch.mkdir("here");
    vi.stubEnv("TMPDIR", scratch.path("here"));
    return new Bridge(await loginWithKey(server, options), scratch, hostNetwork);
  }

  /** A fresh place to listen on: a socket's path, or any port. */
  place(network: "unix" | "tcp"): Address {
    if (network === "tcp") return { network, host: "127.0.0.1", port: 0 };
    return { network, path: this.scratch.path(`place-${Math.random().toString(36).slice(2, 8)}`) };
  }

  /** The address, as the other side reaches it. */
  translate(way: Way, address: Address, signal?: AbortSignal): Promise<Address> {
    return way === "plugin to host" ? this.book.pluginToHost(address, signal) : this.book.hostToPlugin(address, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    vi.unstubAllEnvs();
    await this.book.close();
    await this.connection.close();
    await this.scratch[Symbol.asyncDispose]();
  }
}
