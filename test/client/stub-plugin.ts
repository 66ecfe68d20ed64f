import { once } from "node:events";
import { createSecureServer, createServer, type ServerHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { type Duplex, PassThrough } from "node:stream";
import type { ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Address } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import type { ExitStatus, Runner } from "../../src/contract/runner.ts";
import type { Certificate } from "../../src/handshake/certificates.ts";
import { type Later, later } from "../../src/lifetime/later.ts";

/** A plugin in this process, and its runner, to make a client meet what no Go plugin does. */
export class StubPlugin implements Runner, AsyncDisposable {
  readonly name = "stub";
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly calls: string[] = [];
  readonly sessions = new Set<ServerHttp2Session>();
  readonly address: Address;
  openStream?: NonNullable<Runner["openStream"]>;
  requireChecksum?: NonNullable<Runner["requireChecksum"]>;
  id = "";
  /** What `kill` fails with. */
  killFailure: PluginError | undefined;
  readonly #ended: Later<ExitStatus> = later();
  readonly #server;
  readonly #sockets = new Set<Socket>();
  readonly #line: string;

  /**
   * @param line what it says on stdout; `ADDRESS` stands for where it listens
   * @param certificate makes it serve TLS, to whoever shows a certificate
   */
  constructor(
    directory: string,
    routes: (router: ConnectRouter) => void,
    line = "1|1|unix|ADDRESS|grpc|\n",
    certificate?: Certificate,
  ) {
    this.address = { network: "unix", path: join(directory, "stub") };
    this.#line = line.replace("ADDRESS", this.address.path);
    const adapter = connectNodeAdapter({ routes });
    this.#server = certificate
      ? createSecureServer(
          {
            cert: certificate.certificatePem,
            key: certificate.privateKeyPem,
            requestCert: true,
            rejectUnauthorized: false,
          },
          adapter,
        ).on("tlsClientError", () => {})
      : createServer(adapter);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    this.#server.on("session", (session) => {
      this.sessions.add(session);
      session.on("error", () => {}).once("close", () => this.sessions.delete(session));
    });
    this.openStream = async (address) => {
      this.calls.push("openStream");
      return dial(address);
    };
  }

  async start(): Promise<void> {
    this.calls.push("start");
    await new Promise<void>((resolve) => this.#server.listen((this.address as { path: string }).path, resolve));
    this.id = "stub#1";
    this.stdout.write(this.#line);
  }

  wait(): Promise<ExitStatus> {
    return this.#ended.promise;
  }

  async kill(): Promise<void> {
    this.calls.push("kill");
    this.exit({ code: null, signal: "SIGKILL" });
    if (this.killFailure) throw this.killFailure;
  }

  /** Ends the plugin, as far as the runner tells. Its server serves on. */
  exit(status: ExitStatus): void {
    this.#ended.resolve(status);
    this.stdout.end();
    this.stderr.end();
  }

  /** Ends the plugin, and the runner cannot tell how. */
  lose(reason: PluginError): void {
    this.#ended.reject(reason);
  }

  async diagnose(): Promise<string> {
    return "It is a stub.";
  }

  async pluginToHost(address: Address): Promise<Address> {
    this.calls.push("pluginToHost");
    return address;
  }

  async hostToPlugin(): Promise<Address> {
    throw new PluginError("unsupported", "Not here.");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.sessions) session.destroy();
    // A connection that broke off in the middle of a TLS handshake never becomes a session.
    for (const socket of this.#sockets) socket.destroy();
    if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

async function dial(address: Address): Promise<Duplex> {
  const socket = connect({ path: (address as { path: string }).path });
  await once(socket, "connect");
  return socket;
}
