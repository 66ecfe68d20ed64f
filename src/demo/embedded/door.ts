import { createServer, type Server, type Socket } from "node:net";
import type { Box } from "./box.ts";

/** Where clients come in: accepts TCP connections on the loopback interface, and breaks them on demand. */
export class Door {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those who came while all was frozen. */
  #held: Socket[] = [];
  #frozen = false;
  #accepted = 0;
  readonly #admit: (socket: Socket) => void;

  private constructor(server: Server, admit: (socket: Socket) => void) {
    this.#server = server;
    this.#admit = admit;
  }

  /**
   * Opens the door on any free port.
   *
   * @param box asked for its faults at each connection
   * @param admit gets each connection on which SSH shall be spoken
   */
  static async open(box: () => Box, admit: (socket: Socket) => void): Promise<Door> {
    const server = createServer({ noDelay: true });
    const door = new Door(server, admit);
    server.on("connection", (socket) => door.#enter(box(), socket));
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        server.off("error", reject).on("error", () => {});
        resolve();
      });
    });
    return door;
  }

  /** The port that was found. */
  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address ? address.port : 0;
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** How many connections there have been. */
  get accepted(): number {
    return this.#accepted;
  }

  /** From now on nothing is read and nothing is sent, and nothing is closed: a dead link, as both ends see it. */
  freeze(): void {
    if (this.#frozen) return;
    this.#frozen = true;
    for (const socket of this.#sockets) stop(socket);
  }

  /** Undoes `freeze`; nothing was lost. */
  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    for (const socket of this.#sockets) {
      socket.uncork();
      socket.resume();
    }
    for (const socket of this.#held.splice(0)) if (!socket.destroyed) this.#admit(socket);
  }

  /** Ends every connection with a TCP reset. */
  reset(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  /** Accepts no more, ends every connection at once, and resolves when all is closed. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }

  #enter({ hangAt, options }: Box, socket: Socket): void {
    this.#accepted += 1;
    this.#sockets.add(socket);
    // A failure closes it too, and ssh2 tells the visit.
    socket.on("error", () => {}).once("close", () => this.#sockets.delete(socket));
    const { dropBeforeBanner } = options;
    if (dropBeforeBanner !== false) {
      socket.resume();
      socket.end(typeof dropBeforeBanner === "string" ? `${dropBeforeBanner}\r\n` : "");
    } else if (hangAt === "banner") {
      // Reading on shows when the client gives up.
      socket.resume();
    } else if (this.#frozen) {
      stop(socket);
      this.#held.push(socket);
    } else {
      this.#admit(socket);
    }
  }
}

function stop(socket: Socket): void {
  socket.pause();
  socket.cork();
}
