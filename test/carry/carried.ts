import { mkdtemp, rm } from "node:fs/promises";
import * as http2 from "node:http2";
import { type ClientHttp2Session, connect, type Http2Session, type ServerHttp2Stream } from "node:http2";
import { connect as connectSocket, createServer as createSocketServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { connect as connectTls, type TLSSocket } from "node:tls";
import {
  startTerminatingCarry,
  type TerminatingCarry,
  type TerminatingCarryOptions,
} from "../../src/carry/terminating-carry.ts";
import { type Address, formatAddress } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { type Certificate, certificateToPem, createCertificate } from "../../src/handshake/certificates.ts";

/** What is between host and plugin, and what stands at both ends. */
export interface Carried extends AsyncDisposable {
  readonly carry: TerminatingCarry;
  /** How many connections the plugin has got. */
  readonly pluginConnections: () => number;
  readonly warnings: string[];
  /** A directory for listeners of either side. */
  readonly directory: string;
  /** What the box listens to for the plugin, by its address there. */
  readonly boxListeners: Map<string, Server>;
  /** Connects as the host does; `as` somebody else. */
  dial(at?: Address, as?: Certificate): ClientHttp2Session;
  /** Serves HTTP/2 as the host or the plugin would behind a broker. */
  serve(side: "host" | "plugin", name: string): Promise<{ path: string; close: () => Promise<void> }>;
  /** Dials as the plugin would. */
  dialFromPlugin(address: string): ClientHttp2Session;
}

export interface CarriedOptions {
  readonly tls: boolean;
  /** The certificates of the two ends. @default fresh ones */
  readonly host?: Certificate;
  readonly plugin?: Certificate;
  /** What the plugin's handshake line says, if not the truth. */
  readonly pluginSays?: Certificate;
  readonly override?: Partial<TerminatingCarryOptions>;
}

/** Starts a plugin of Node's, and a carry before it, with no SSH between: the box is this machine. */
export async function startCarried({ tls, override, ...given }: CarriedOptions): Promise<Carried> {
  const directory = await mkdtemp(join(tmpdir(), "carried-"));
  const [host, plugin, own] = [given.host, given.plugin, undefined].map(
    (certificate) => certificate ?? createCertificate({ curve: "P-256" }),
  ) as [Certificate, Certificate, Certificate];
  const sockets = new Set<Duplex>();
  const sessions = new Set<Http2Session>();
  const servers = new Set<Server>();
  const boxListeners = new Map<string, Server>();
  const warnings: string[] = [];
  let connections = 0;

  const serve = async (certificate: Certificate, path: string) => {
    const server = tls
      ? http2.createSecureServer({
          cert: certificate.certificatePem,
          key: certificate.privateKeyPem,
          ca: own.certificatePem,
          requestCert: true,
          rejectUnauthorized: true,
        })
      : http2.createServer();
    server.on("session", (session: Http2Session) => sessions.add(session.on("error", () => {})));
    server.on("connection", (socket: Socket) => sockets.add(socket.on("error", () => {})));
    server.on("stream", (stream: ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => answer(stream, headers));
    servers.add(server as unknown as Server);
    await new Promise<void>((resolve) => server.listen(path, resolve));
    return server;
  };
  const streams: ServerHttp2Stream[] = [];
  const answer = (stream: ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    streams.push(stream);
    if (headers[":path"] !== "/plugin.GRPCBroker/StartStream") stream.pipe(stream);
    // The broker's stream says to the other side what the request asks for in a header.
    else if (headers["x-announce"]) stream.write(Buffer.from(String(headers["x-announce"]), "base64"));
  };
  const pluginPath = join(directory, "main");
  const main = await serve(plugin, pluginPath);
  main.on("connection", () => {
    connections += 1;
  });

  const carry = await startTerminatingCarry({
    pluginAddress: { network: "unix", path: pluginPath },
    ...(tls && {
      hostCertificate: host.der,
      pluginCertificate: (given.pluginSays ?? plugin).der,
      certificate: own,
    }),
    openPluginStream: (address) => dialSocket(formatAddress(address)),
    hostToPlugin: async (address) => {
      const path = join(directory, `box-${boxListeners.size}`);
      const server = createSocketServer({ allowHalfOpen: true }, (socket) => {
        const near = connectSocket({ path: formatAddress(address), allowHalfOpen: true });
        for (const one of [socket, near]) sockets.add(one.on("error", () => {}));
        near.on("close", () => socket.destroy());
        socket.pipe(near).pipe(socket);
      });
      servers.add(server);
      boxListeners.set(path, server);
      await new Promise<void>((resolve) => server.listen(path, resolve));
      return { network: "unix", path };
    },
    onWarning: (text) => warnings.push(text),
    ...override,
  });

  const dial = (at: Address, as: Certificate): ClientHttp2Session => {
    const socket = connectSocket(at.network === "unix" ? { path: at.path } : { host: at.host, port: at.port });
    sockets.add(socket.on("error", () => {}));
    const secured: Duplex = tls ? greet(socket, as, own) : socket;
    const session = connect("https://localhost", { createConnection: () => secured });
    sessions.add(session.on("error", () => {}));
    return session;
  };

  return {
    carry,
    warnings,
    directory,
    boxListeners,
    pluginConnections: () => connections,
    dial: (at = carry.address, as = host) => dial(at, as),
    dialFromPlugin: (path) => dial({ network: "unix", path }, plugin),
    serve: async (side, name) => {
      const path = join(directory, name);
      const server = await serve(side === "host" ? host : plugin, path);
      return { path, close: () => new Promise((resolve) => server.close(() => resolve())) };
    },
    [Symbol.asyncDispose]: async () => {
      await carry.close();
      for (const session of sessions) session.destroy();
      for (const socket of sockets) socket.destroy();
      await Promise.all([...servers].map((server) => new Promise((resolve) => server.close(resolve))));
      await rm(directory, { recursive: true });
    },
  };
}

/** Trusts the carry's certificate alone, by the rules of TLS, as a Go host does. */
function greet(socket: Socket, as: Certificate, carried: Certificate): TLSSocket {
  return connectTls({
    socket,
    cert: as.certificatePem,
    key: as.privateKeyPem,
    ca: certificateToPem(carried.der),
    servername: "localhost",
    ALPNProtocols: ["h2"],
  });
}

function dialSocket(path: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ path, allowHalfOpen: true }, () => resolve(socket));
    socket.on("error", (cause) => {
      reject(new PluginError("forward-failed", `Nothing answers at ${path}: ${cause.message}.`, { cause }));
    });
  });
}
