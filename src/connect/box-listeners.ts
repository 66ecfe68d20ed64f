import { randomInt } from "node:crypto";
import type { Duplex } from "node:stream";
import type { Client } from "ssh2";
import type { Address } from "../contract/address.ts";
import type { Listener } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { listenError, type VendorError } from "./ssh2-errors.ts";

/**
 * Ports for such use (RFC 6335 §6), beyond those that Linux chooses by itself. dropbear listens on 127.0.0.1 and on ::1,
 * and is content with either: where another's socket has the port on 127.0.0.1, be it only one that has ended, it says
 * that it listens, and connections go elsewhere.
 */
const FIRST_PORT = 61_001;
const LAST_PORT = 65_535;

type OnStream = (stream: Duplex) => void;

/** One listener, as long as it is open: another may come to have its port after it. */
interface Open {
  readonly onStream: OnStream;
}

/** The listeners that the box holds for us: asks for them, and hands each arriving connection to the right one. */
export class BoxListeners {
  readonly #client: Client;
  readonly #choosePort: () => number;
  readonly #open = new Map<string, Open>();

  /** @param choosePort the port to ask for where any will do */
  constructor(client: Client, choosePort = () => randomInt(FIRST_PORT, LAST_PORT + 1)) {
    this.#client = client;
    this.#choosePort = choosePort;
    client.on("tcp connection", (to, accept, reject) => this.#arrived(`tcp ${to.destPort}`, accept, reject));
    client.on("unix connection", (to, accept, reject) => this.#arrived(`unix ${to.socketPath}`, accept, reject));
  }

  /** Asks the box to listen at `at`. When it resolves, the box does. */
  listen(at: Address, onStream: OnStream): Promise<Listener> {
    return at.network === "tcp" ? this.#listenTcp(at.host, at.port, onStream) : this.#listenUnix(at.path, onStream);
  }

  async #listenTcp(host: string, port: number, onStream: OnStream): Promise<Listener> {
    if (port !== 0) return this.#askTcp(host, port, onStream);
    // Some servers say 0 for a port of their choice whenever a connection arrives (asyncssh, OpenSSH 5), so that nobody
    // knows whose it is. They get to choose only if ours is taken.
    return this.#askTcp(host, this.#choosePort(), onStream).catch(() => this.#askTcp(host, 0, onStream));
  }

  #askTcp(host: string, port: number, onStream: OnStream): Promise<Listener> {
    return new Promise((resolve, reject) => {
      this.#client.forwardIn(host, port, (failure, chosen) => {
        const address: Address = { network: "tcp", host, port: chosen || port };
        if (failure) return reject(listenError(failure as VendorError, address));
        const key = `tcp ${address.port}`;
        const open = { onStream };
        this.#open.set(key, open);
        resolve({
          address,
          close: () => this.#close(key, open, (done) => this.#client.unforwardIn(host, address.port, done)),
        });
      });
    });
  }

  #listenUnix(path: string, onStream: OnStream): Promise<Listener> {
    const address: Address = { network: "unix", path };
    const key = `unix ${path}`;
    if (this.#open.has(key)) {
      const what = `This connection listens on ${path} already.`;
      return Promise.reject(new PluginError("forward-failed", what, { hint: "Close that listener first." }));
    }
    // The first connection may arrive together with the answer.
    const open = { onStream };
    this.#open.set(key, open);
    return new Promise((resolve, reject) => {
      this.#client.openssh_forwardInStreamLocal(path, (failure) => {
        if (failure) {
          this.#open.delete(key);
          return reject(listenError(failure as VendorError, address));
        }
        resolve({
          address,
          close: () => this.#close(key, open, (done) => this.#client.openssh_unforwardInStreamLocal(path, done)),
        });
      });
    });
  }

  /** Stops listening. A server that does not answer is not waited for: the next connection would be refused anyway. */
  async #close(key: string, open: Open, ask: (done: () => void) => void): Promise<void> {
    if (this.#open.get(key) !== open) return;
    this.#open.delete(key);
    try {
      ask(() => {});
    } catch {
      // ssh2 throws when the connection is gone, and then so is the listener.
    }
  }

  #arrived(key: string, accept: () => Duplex, reject: () => void): void {
    const open = this.#open.get(key);
    if (open) open.onStream(accept());
    else reject();
  }
}
