import { once } from "node:events";
import { type ClientHttp2Session, connect, createSecureServer, createServer, type Http2Server } from "node:http2";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { PluginError } from "../../../src/contract/errors.ts";
import { Http2Link } from "../../../src/dial/http2-link.ts";
import { secure } from "../../../src/dial/secure.ts";
import type { YamuxSession } from "../../../src/dial/yamux/yamux-session.ts";
import { createCertificate } from "../../../src/handshake/certificates.ts";
import { eventually } from "../../tools/eventually.ts";
import { openSessions } from "./sessions.ts";
import { bytes, collect, failureOf } from "./streams.ts";

const HOST = createCertificate({ curve: "P-256" });
const PLUGIN = createCertificate({ curve: "P-256" });
const SERVER_TLS = {
  cert: PLUGIN.certificatePem,
  key: PLUGIN.privateKeyPem,
  ca: HOST.certificatePem,
  requestCert: true,
  ALPNProtocols: ["h2"],
};
const NEVER = new AbortController().signal;
const CONTENT = bytes(3_000_000);

function secured(stream: Duplex): Promise<TLSSocket> {
  const { certificatePem, privateKeyPem } = HOST;
  return secure(stream, { certificatePem, privateKeyPem, pluginCertificate: PLUGIN.der }, NEVER);
}

/** Hands every stream that the other side opens to `server`. */
async function serve(session: YamuxSession, server: { emit(event: "connection", stream: Duplex): boolean }) {
  while (!session.over.aborted) {
    const stream = await session.accept().catch(() => undefined);
    if (stream) server.emit("connection", stream);
  }
}

/** Answers with what was asked, and says how much it was. */
function answering<S extends Http2Server>(server: S): S {
  server.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  server.on("session", (session) => session.on("error", () => {}));
  return server;
}

async function ask(session: ClientHttp2Session | Http2Link, body: Buffer): Promise<Buffer> {
  const headers = { ":method": "POST", ":path": "/" };
  const stream = session instanceof Http2Link ? await session.request("POST", "/", {}, {}) : session.request(headers);
  stream.end(body);
  return collect(stream);
}

test("TLS with both certificates, with the end of each direction on its own", async () => {
  await using sessions = openSessions();
  const server = createTlsServer({ ...SERVER_TLS, allowHalfOpen: true });
  const arrived = once(server, "secureConnection") as Promise<[TLSSocket]>;
  void serve(sessions.server, server);
  const client = await secured(sessions.client.open());
  const [plugin] = await arrived;
  expect(plugin.authorized).toBe(true);
  const atPlugin = collect(plugin);
  client.end(CONTENT);
  expect((await atPlugin).equals(CONTENT)).toBe(true);
  plugin.end();
  await eventually(() => sessions.client.streams + sessions.server.streams === 0, { what: "no stream to be left" });
});

test.each(["client", "server"] as const)("HTTP/2 from the %s, many requests at once", async (side) => {
  await using sessions = openSessions();
  const [from, to] = side === "client" ? [sessions.client, sessions.server] : [sessions.server, sessions.client];
  void serve(to, answering(createServer()));
  const link = new Http2Link("http://localhost", async () => from.open());
  const bodies = Array.from({ length: 40 }, (_, index) => CONTENT.subarray(0, index * index * 100));
  const answers = await Promise.all(bodies.map((body) => ask(link, body)));
  for (const [index, answer] of answers.entries()) expect(answer.equals(bodies[index] as Buffer)).toBe(true);
  expect(from.streams).toBe(1);
  link.close(new PluginError("closed", "Done."));
  await eventually(() => from.streams + to.streams === 0, { what: "no stream to be left", timeoutMs: 20_000 });
});

test("HTTP/2 in TLS on several streams at once, as go-plugin's broker has it", async () => {
  await using sessions = openSessions();
  void serve(sessions.server, answering(createSecureServer({ ...SERVER_TLS }) as unknown as Http2Server));
  const clients = await Promise.all(
    Array.from({ length: 5 }, async () => {
      const socket = await secured(sessions.client.open());
      return connect("https://localhost", { createConnection: () => socket });
    }),
  );
  const answers = await Promise.all(clients.map((client) => ask(client, CONTENT)));
  for (const answer of answers) expect(answer.equals(CONTENT)).toBe(true);
  await Promise.all(clients.map((client) => new Promise<void>((resolve) => client.close(resolve))));
  await eventually(() => sessions.client.streams + sessions.server.streams === 0, {
    what: "no stream to be left",
    timeoutMs: 20_000,
  });
});

test("a request under way fails at once when the carrier is cut, in TLS and without", async () => {
  for (const isSecure of [false, true]) {
    await using sessions = openSessions();
    const server = isSecure ? (createSecureServer({ ...SERVER_TLS }) as unknown as Http2Server) : createServer();
    const asked = once(server, "stream");
    server.on("session", (session) => session.on("error", () => {}));
    void serve(sessions.server, server);
    const stream = sessions.client.open();
    const socket = isSecure ? await secured(stream) : stream;
    const client = connect(isSecure ? "https://localhost" : "http://localhost", { createConnection: () => socket });
    client.on("error", () => {});
    const request = client.request({ ":method": "POST", ":path": "/" });
    const ended = new Promise((resolve) => request.on("error", () => {}).on("close", () => resolve("ended")));
    const [serverStream] = await asked;
    serverStream.on("error", () => {});
    const failed = failureOf(stream);
    sessions.carriers[1].destroy();
    expect(await failed).toMatchObject({ code: "connection-lost" });
    expect(await ended).toBe("ended");
    await eventually(() => client.destroyed, { what: "the session to notice", timeoutMs: 20_000 });
  }
});
