// A go-plugin plugin for Node, in the size that a demonstration needs. The host sends it along with the command, so the
// box needs Node and nothing else.
import { randomInt } from "node:crypto";
import { connect, createSecureServer, createServer, type ServerHttp2Stream } from "node:http2";
import { connect as connectSocket } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { PluginError } from "../../contract/errors.ts";
import { type Certificate, createCertificate } from "../../handshake/certificates.ts";
import { formatHandshakeLine } from "../../handshake/handshake-line.ts";
import { later } from "../../lifetime/later.ts";
import { fieldsOf, frame, readMessage, readMessages, text } from "./grpc-frames.ts";

const HOST_CERTIFICATE = process.env.PLUGIN_CLIENT_CERT ?? "";
const CERTIFICATE = HOST_CERTIFICATE === "" ? undefined : createCertificate();

/** How long go-plugin waits for the other side's announcement. */
const ANNOUNCEMENT_MS = 5_000;

/** Where the host serves what, by the broker's ids. */
const announced = new Map<number, ReturnType<typeof later<string>>>();

type Send = (message: Uint8Array) => void;
type Method = (request: Buffer, send: Send) => Promise<unknown> | unknown;

const METHODS: Record<string, Method> = {
  "/grpc.health.v1.Health/Check": (_, send) => send(Buffer.of(0x08, 0x01)),
  "/plugin.GRPCController/Shutdown": (_, send) => {
    send(Buffer.alloc(0));
    setImmediate(() => process.exit(0));
  },
  // Nothing is printed after the handshake; the stream stays open until the plugin ends.
  "/plugin.GRPCStdio/StreamStdio": () => new Promise(() => {}),
  "/demo.Demo/Greet": (request, send) => {
    const name = String(fieldsOf(request).get(1) ?? "");
    send(text(`Hello ${name}, this is process ${process.pid} on ${hostname()}, Node ${process.version}.`));
  },
  "/demo.Demo/Stream": (request, send) => {
    for (let n = 0; n < Number(fieldsOf(request).get(1) ?? 0); n++) send(text("x".repeat(1024)));
  },
  "/demo.Demo/CallBack": async (request, send) => send(await callHost(Number(fieldsOf(request).get(1) ?? 0))),
};

/** Remembers what the host announces: `ConnInfo`, with an id and the path of a socket on this side. */
function hear(message: Buffer): void {
  const fields = fieldsOf(message);
  announcementOf(Number(fields.get(1) ?? 0)).resolve(String(fields.get(3) ?? ""));
}

function announcementOf(id: number): ReturnType<typeof later<string>> {
  const announcement = announced.get(id) ?? later<string>();
  announced.set(id, announcement);
  return announcement;
}

/** Calls what the host serves under `id`. Both sides show the certificates of the plugin's own connection. */
async function callHost(id: number): Promise<Buffer> {
  const announcement = announcementOf(id);
  const tooLate = () => announcement.reject(new PluginError("timeout", "timeout waiting for connection info"));
  const timer = setTimeout(tooLate, ANNOUNCEMENT_MS);
  const path = await announcement.promise.finally(() => {
    clearTimeout(timer);
    announced.delete(id);
  });
  const socket = connectSocket({ path });
  const secured = CERTIFICATE
    ? connectTls({ socket, servername: "localhost", ALPNProtocols: ["h2"], ...tls(CERTIFICATE) })
    : socket;
  const session = connect("https://localhost", { createConnection: () => secured });
  try {
    const request = session.request({
      ":method": "POST",
      ":path": "/demo.Host/Greet",
      "content-type": "application/grpc",
      te: "trailers",
    });
    session.on("error", (failure) => request.destroy(failure));
    request.end(frame(text(`process ${process.pid}`)));
    return await readMessage(request);
  } finally {
    session.close();
  }
}

function tls({ certificatePem, privateKeyPem }: Certificate) {
  return { cert: certificatePem, key: privateKeyPem, ca: HOST_CERTIFICATE };
}

async function serve(stream: ServerHttp2Stream, path: string): Promise<void> {
  const method = METHODS[path];
  stream.on("error", () => {});
  stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
  const isBroker = path === "/plugin.GRPCBroker/StartStream";
  let status = method || isBroker ? 0 : 12;
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(status) }));
  try {
    if (isBroker) await readMessages(stream, hear);
    else await method?.(await readMessage(stream), (message) => stream.write(frame(message)));
  } catch {
    status = 2;
  }
  stream.end();
}

if (process.env.GO_PLUGIN_SSH_DEMO !== "hello") {
  process.stderr.write("This is the plugin of a demonstration; `go-plugin-ssh demo` starts it.\n");
  process.exit(1);
}
process.on("SIGINT", () => {});
const server = CERTIFICATE
  ? createSecureServer({ ...tls(CERTIFICATE), requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.2" })
  : createServer();
server.on("stream", (stream: ServerHttp2Stream, headers) => void serve(stream, String(headers[":path"])));
const path = join(process.env.PLUGIN_UNIX_SOCKET_DIR || tmpdir(), `plugin${randomInt(1e9)}`);
server.listen(path, () => {
  const line = formatHandshakeLine({
    coreProtocolVersion: 1,
    appProtocolVersion: 1,
    address: { network: "unix", path },
    protocol: "grpc",
    certificate: CERTIFICATE?.der,
    multiplexed: undefined,
  });
  process.stdout.write(`${line}\n`);
});
