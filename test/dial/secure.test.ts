import { once } from "node:events";
import { connect, createServer as createPlainServer, type Socket } from "node:net";
import { createServer, type TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { secure } from "../../src/dial/secure.ts";
import { type Certificate, createCertificate } from "../../src/handshake/certificates.ts";
import { eventually } from "../tools/eventually.ts";

const HOST = createCertificate({ curve: "P-256" });
const PLUGIN = createCertificate({ curve: "P-256" });
const OTHER = createCertificate({ curve: "P-256" });
const NEVER = new AbortController().signal;

/** A plugin's end of AutoMTLS, that keeps what it was sent inside TLS. */
async function startPlugin(shown: Certificate, { trusts = HOST, alpn = ["h2"] } = {}) {
  const received: Buffer[] = [];
  const sockets = new Set<TLSSocket>();
  const server = createServer({
    cert: shown.certificatePem,
    key: shown.privateKeyPem,
    ca: trusts.certificatePem,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: alpn,
  });
  server.on("secureConnection", (socket) => {
    sockets.add(socket);
    socket.on("data", (chunk) => received.push(chunk));
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("tlsClientError", () => {});
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const dial = async (): Promise<Socket> => {
    const socket = connect({ host: "127.0.0.1", port });
    await once(socket, "connect");
    return socket.on("error", () => {});
  };
  const close = async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };
  return { received, sockets, dial, [Symbol.asyncDispose]: close };
}

function tls(pinned: Certificate) {
  return { certificatePem: HOST.certificatePem, privateKeyPem: HOST.privateKeyPem, pluginCertificate: pinned.der };
}

test("resolves when the plugin has shown the pinned certificate, and carries bytes", async () => {
  await using plugin = await startPlugin(PLUGIN);
  const socket = await secure(await plugin.dial(), tls(PLUGIN), NEVER);
  socket.write("hello");
  await eventually(() => Buffer.concat(plugin.received).toString() === "hello" || undefined, {
    what: "the bytes to arrive",
  });
  socket.destroy();
});

test("refuses another certificate of the same name, and has sent nothing", async () => {
  await using plugin = await startPlugin(OTHER);
  const stream = await plugin.dial();
  await expect(secure(stream, tls(PLUGIN), NEVER)).rejects.toMatchObject({ code: "handshake-failed" });
  expect(stream.destroyed).toBe(true);
  await eventually(() => plugin.sockets.size === 0 || undefined, {
    what: "the plugin to see the end",
  });
  expect(plugin.received).toEqual([]);
});

test("refuses a plugin that does not choose HTTP/2", async () => {
  await using plugin = await startPlugin(PLUGIN, { alpn: [] });
  await expect(secure(await plugin.dial(), tls(PLUGIN), NEVER)).rejects.toMatchObject({ code: "handshake-failed" });
});

test("fails for somebody who does not speak TLS", async () => {
  const server = createPlainServer((socket) => {
    socket.on("error", () => {});
    socket.resume().end("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const stream = connect({ host: "127.0.0.1", port });
  await expect(secure(stream, tls(PLUGIN), NEVER)).rejects.toMatchObject({ code: "handshake-failed" });
  await new Promise((resolve) => server.close(resolve));
});

test("an abort ends the handshake and the stream under it", async () => {
  await using plugin = await startPlugin(PLUGIN);
  const stream = await plugin.dial();
  const giveUp = new AbortController();
  const secured = secure(stream, tls(PLUGIN), giveUp.signal);
  giveUp.abort();
  await expect(secured).rejects.toMatchObject({ code: "aborted" });
  expect(stream.destroyed).toBe(true);
});

test("net/rpc has no name in TLS: none is offered, and none is missed", async () => {
  await using plugin = await startPlugin(PLUGIN, { alpn: [] });
  const stream = await plugin.dial();
  const socket = await secure(stream, { ...tls(PLUGIN), protocol: "netrpc" }, NEVER);
  socket.write("hello");
  await eventually(() => Buffer.concat(plugin.received).toString() === "hello", { what: "what was said" });
  socket.destroy();
});
