import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Address } from "../../src/contract/address.ts";

/** Two ends of one stream: what is written to the one is read from the other, and each ends by itself. */
export function twoEnds(): [End, End] {
  const ends: [End, End] = [new End(), new End()];
  ends[0].other = ends[1];
  ends[1].other = ends[0];
  return ends;
}

/** One of {@link twoEnds}. Destroying it destroys the other. */
export class End extends Duplex {
  other: End | undefined;
  #wanted: (() => void) | undefined;

  override _read(): void {
    this.#wanted?.();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const { other } = this;
    if (!other || other.push(chunk)) {
      done();
      return;
    }
    other.#wanted = () => {
      other.#wanted = undefined;
      done();
    };
  }

  override _final(done: () => void): void {
    this.other?.push(null);
    done();
  }

  override _destroy(failure: Error | null, done: (failure: Error | null) => void): void {
    this.other?.destroy();
    done(failure);
  }
}

/** A listener on one side, and everybody who came. */
export class Side implements AsyncDisposable {
  readonly address: Address;
  readonly sockets = new Set<Socket>();
  readonly #server: Server;
  #visits = 0;

  private constructor(server: Server, address: Address) {
    this.#server = server;
    this.address = address;
  }

  /** Listens; `onVisit` gets each connection. */
  static async listen(at: Address, onVisit: (socket: Socket) => void = () => {}): Promise<Side> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    server.listen(at.network === "unix" ? { path: at.path } : { host: at.host, port: at.port });
    await once(server, "listening");
    const bound = server.address();
    const port = typeof bound === "object" && bound ? bound.port : 0;
    const side = new Side(server, at.network === "unix" ? at : { ...at, port });
    server.on("connection", (socket) => {
      side.#visits += 1;
      side.sockets.add(socket);
      socket.on("error", () => {}).on("close", () => side.sockets.delete(socket));
      onVisit(socket);
    });
    return side;
  }

  /** How many have come. */
  get visits(): number {
    return this.#visits;
  }

  /** Listens no more; whoever is here may stay. */
  stopListening(): void {
    this.#server.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, "close") : undefined;
    if (closed) this.#server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }
}

/** Sends everything back, and ends when the other end does. */
export function echo(socket: Socket): void {
  socket.pipe(socket);
}

/** Connects to an address; resolves when that is done. */
export async function dial(to: Address): Promise<Socket> {
  const socket = connect(dialling(to));
  await once(socket, "connect");
  // Tests look at what came and at the close.
  return socket.on("error", () => {});
}

/** Connects to an address and waits for the end of it: resolves with the error's code, or an empty text without one. */
export async function visit(to: Address): Promise<string> {
  const socket = connect({ ...dialling(to), allowHalfOpen: false });
  let code = "";
  socket.on("error", (failure: NodeJS.ErrnoException) => {
    code = failure.code ?? failure.message;
  });
  await closed(socket);
  return code;
}

/** Resolves when a socket is closed; it ends too when the other side has ended. */
export async function closed(socket: Socket): Promise<void> {
  socket.on("end", () => socket.end()).resume();
  if (socket.readableEnded) socket.end();
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
}

/** All that comes until the other side ends. The stream's own direction stays open. */
export function received(stream: Duplex): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("end", () => resolve(Buffer.concat(chunks)));
    stream.once("error", reject);
    stream.once("close", () => reject(new Error(`It closed after ${Buffer.concat(chunks).length} bytes.`)));
  });
}

function dialling(to: Address) {
  const where = to.network === "unix" ? { path: to.path } : { host: to.host, port: to.port, noDelay: true };
  return { ...where, allowHalfOpen: true };
}
