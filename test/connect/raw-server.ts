import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";

/** A TCP server that speaks no SSH of its own: what it says is up to the test. */
export class RawServer implements AsyncDisposable {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;
  #received = 0;

  private constructor(server: Server, sockets: Set<Socket>, port: number) {
    this.#server = server;
    this.#sockets = sockets;
    this.port = port;
  }

  /** Listens on any free port; `onClient` gets each client. */
  static async start(onClient: (client: Socket) => void): Promise<RawServer> {
    const sockets = new Set<Socket>();
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const raw = new RawServer(server, sockets, typeof address === "object" && address ? address.port : 0);
    server.on("connection", (client) => {
      sockets.add(client);
      client.on("error", () => {}).on("close", () => sockets.delete(client));
      client.on("data", (chunk) => {
        raw.#received += chunk.length;
      });
      onClient(client);
    });
    return raw;
  }

  /** How many clients are here. */
  get clients(): number {
    return this.#sockets.size;
  }

  /** How many bytes clients have sent: their banner is short, and what follows it is long. */
  get received(): number {
    return this.#received;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** A KEXINIT packet that offers `name` for everything (RFC 4253 §7.1). */
export function offerOnly(name: string): Buffer {
  const list = Buffer.alloc(4 + name.length);
  list.writeUInt32BE(name.length);
  list.write(name, 4);
  const payload = Buffer.concat([Buffer.from([20]), Buffer.alloc(16), ...Array(10).fill(list), Buffer.alloc(5)]);
  const padding = 8 + ((8 - ((payload.length + 5 + 8) % 8)) % 8);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(payload.length + padding + 1);
  head[4] = padding;
  return Buffer.concat([head, payload, Buffer.alloc(padding)]);
}
