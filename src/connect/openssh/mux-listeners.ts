import { rm } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { type Address, formatAddress } from "../../contract/address.ts";
import type { Listener } from "../../contract/connection.ts";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { listenError } from "../ssh2-errors.ts";
import type { ControlClient } from "./control-client.ts";
import { ANSWER, ASK, FORWARD_REMOTE, UNIX_PORT } from "./control-protocol.ts";
import type { Part } from "./wire.ts";

/** How long a master may take to stop listening. */
const WITHDRAW_MS = 1_000;

type OnStream = (stream: Duplex) => void;

/** The listeners that the box holds for us. The master makes a connection to a private socket here for each arrival. */
export class MuxListeners {
  readonly #control: ControlClient;
  readonly #directory: string;
  readonly #paths = new Set<string>();
  /** Who meets the master for each listener, and how the master knows it. */
  readonly #servers = new Map<Server, Part[]>();
  #count = 0;

  /** @param directory a private one of this machine, for sockets */
  constructor(control: ControlClient, directory: string) {
    this.#control = control;
    this.#directory = directory;
  }

  /** Asks the box to listen at `at`. When it resolves, the box does. */
  async listen(at: Address, onStream: OnStream): Promise<Listener> {
    const where = formatAddress(at);
    if (this.#paths.has(where)) {
      throw new PluginError("forward-failed", `This connection listens on ${where} already.`, {
        hint: "Close that listener first.",
      });
    }
    if (at.network === "unix") this.#paths.add(where);
    const meeting = join(this.#directory, `l${this.#count++}`);
    const server = await listenHere(meeting, onStream);
    this.#servers.set(server, forward(at, meeting));
    const undo = async () => {
      this.#paths.delete(where);
      this.#servers.delete(server);
      server.close();
      await rm(meeting, { force: true });
    };
    try {
      const address = await this.#ask(at, meeting);
      const close = once(() => this.#close(at, meeting, undo));
      return { address, close };
    } catch (failure) {
      await undo();
      throw failure;
    }
  }

  /** Takes nobody any more; the connection is over. */
  close(): void {
    for (const server of this.#servers.keys()) server.close();
  }

  /** Has the box stop listening for us, as far as the master answers. For one that goes on without us. Never rejects. */
  async withdraw(): Promise<void> {
    const asked = [...this.#servers.values()].map((what) => this.#control.ask(ASK.closeForward, ...what));
    this.#servers.clear();
    await within({ timeoutMs: WITHDRAW_MS }, () => Promise.allSettled(asked)).catch(() => {});
  }

  async #ask(at: Address, meeting: string): Promise<Address> {
    const { type, why, number } = await this.#control.ask(ASK.openForward, ...forward(at, meeting));
    if (type === ANSWER.remotePort && at.network === "tcp") return { ...at, port: number };
    if (type === ANSWER.ok || type === ANSWER.remotePort) return at;
    throw listenError(new Error(why), at);
  }

  /** Stops listening. A master that is gone listens no more; it knows a listener by what it was asked for. */
  async #close(at: Address, meeting: string, undo: () => Promise<void>): Promise<void> {
    void this.#control.ask(ASK.closeForward, ...forward(at, meeting)).catch(() => {});
    await undo();
  }
}

/** The first call does it; each gives the same promise. */
function once(task: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => {
    done ??= task();
    return done;
  };
}

function forward(at: Address, meeting: string): Part[] {
  const [host, port] = at.network === "tcp" ? [at.host, at.port] : [at.path, UNIX_PORT];
  return [FORWARD_REMOTE, host, port, meeting, UNIX_PORT];
}

/** Listens for the master. Never keeps the process alive. */
function listenHere(path: string, onStream: OnStream): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    // Whoever has just let go of it must not be the end of the process.
    socket.on("error", () => {});
    onStream(socket);
  }).unref();
  return new Promise((resolve, reject) => {
    server.once("error", (failure) => {
      const what = `Nothing can listen on ${path} here: ${failure.message}.`;
      reject(new PluginError("forward-failed", what, { cause: failure }));
    });
    server.listen({ path }, () => {
      server.on("error", () => {});
      resolve(server);
    });
  });
}
