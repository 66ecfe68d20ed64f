import { once } from "node:events";
import { existsSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, type Socket } from "node:net";
import { dirname } from "node:path";
import { connect as connectTls } from "node:tls";
import { describe, expect, test } from "vitest";
import { serveHost } from "../../src/demo/host-service.ts";
import { fieldOne, frame, readMessage, text } from "../../src/demo/plugin/grpc-frames.ts";
import { type Certificate, createCertificate } from "../../src/handshake/certificates.ts";

const HOST = createCertificate();
const PLUGIN = createCertificate();

function serve() {
  return serveHost({
    certificate: Buffer.from(HOST.certificatePem),
    privateKey: Buffer.from(HOST.privateKeyPem),
    rootCertificate: Buffer.from(PLUGIN.certificatePem),
  });
}

/** The socket's path. */
function pathOf({ address }: Awaited<ReturnType<typeof serve>>): string {
  return address.network === "unix" ? address.path : "";
}

async function greet(path: string, certificate: Certificate | undefined): Promise<string> {
  const socket = connectTls({
    socket: connect({ path }),
    servername: "localhost",
    ALPNProtocols: ["h2"],
    ca: HOST.certificatePem,
    ...(certificate ? { cert: certificate.certificatePem, key: certificate.privateKeyPem } : {}),
  });
  const session = connectHttp2("https://localhost", { createConnection: () => socket });
  try {
    const request = session.request({
      ":method": "POST",
      ":path": "/demo.Host/Greet",
      "content-type": "application/grpc",
      te: "trailers",
    });
    session.on("error", (failure) => request.destroy(failure));
    request.end(frame(text("you")));
    return fieldOne(await readMessage(request)).string;
  } finally {
    session.destroy();
  }
}

describe("the host's service", () => {
  test("answers the plugin", async () => {
    await using service = await serve();
    expect(await greet(pathOf(service), PLUGIN)).toBe("The host greets you.");
  });

  test("answers nobody else", async () => {
    await using service = await serve();
    await expect(greet(pathOf(service), undefined)).rejects.toThrow();
    await expect(greet(pathOf(service), createCertificate())).rejects.toThrow();
  });

  test("ends with connections that never said a word, and takes its directory along", async () => {
    const service = await serve();
    const path = pathOf(service);
    const silent: Socket = connect({ path });
    await once(silent, "connect");
    const closed = once(silent, "close");
    silent.resume();
    await service[Symbol.asyncDispose]();
    await closed;
    expect(existsSync(dirname(path))).toBe(false);
  });
});
