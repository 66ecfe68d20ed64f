import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from "node:tls";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type PluginTls, secure } from "../../src/dial/secure.ts";
import { secureAsServer } from "../../src/dial/secure-as-server.ts";
import { type Certificate, createCertificate } from "../../src/handshake/certificates.ts";
import { eventually } from "../tools/eventually.ts";

const HOST = createCertificate({ curve: "P-256" });
const PLUGIN = createCertificate({ curve: "P-256" });
const OTHER = createCertificate({ curve: "P-256" });
/** Valid from the year 2100 on. */
const LATER = inTheFuture();
const NEVER = new AbortController().signal;
const PASSPHRASE = "open sesame";

const made: Socket[] = [];
afterEach(() => {
  // TLS before what lies below: the other way round, Node crashes.
  for (const socket of made.splice(0).reverse()) socket.destroy();
});

function inTheFuture(): Certificate {
  vi.useFakeTimers({ toFake: ["Date"], now: new Date("2100-01-02") });
  const certificate = createCertificate({ curve: "P-256" });
  vi.useRealTimers();
  return certificate;
}

/** Both ends of a connection. */
async function pair(): Promise<[host: Socket, plugin: Socket]> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const arrived = once(server, "connection");
  const plugin = connect({ host: "127.0.0.1", port });
  const [[host]] = (await Promise.all([arrived, once(plugin, "connect")])) as unknown as [[Socket]];
  server.close();
  for (const socket of [host, plugin]) made.push(socket.on("error", () => {}));
  return [host, plugin];
}

/** A plugin that dials as Go does, and does not look whom it reaches. */
function dialAs(socket: Socket, shown: Certificate | undefined, more: ConnectionOptions = {}): TLSSocket {
  const certificate = shown && { cert: shown.certificatePem, key: shown.privateKeyPem };
  const options = { socket, servername: "localhost", ALPNProtocols: ["h2"], rejectUnauthorized: false };
  return connectTls({ ...options, ...certificate, ...more }).on("error", () => {});
}

function pinned(plugin: Certificate): PluginTls {
  return { certificatePem: HOST.certificatePem, privateKeyPem: HOST.privateKeyPem, pluginCertificate: plugin.der };
}

function own(plugin: Certificate, more: Partial<PluginTls> = {}): PluginTls {
  return { ca: [plugin.certificatePem], cert: HOST.certificatePem, key: HOST.privateKeyPem, ...more } as PluginTls;
}

/** Whom the host lets in. */
async function letIn(tls: PluginTls, shown: Certificate | undefined, more: ConnectionOptions = {}): Promise<string> {
  const [host, plugin] = await pair();
  const client = dialAs(plugin, shown, more);
  const greeted = once(client, "data").catch(() => []);
  return secureAsServer(host, tls, NEVER).then(
    async (socket) => {
      made.push(socket, client);
      socket.write("welcome");
      return String((await greeted)[0]);
    },
    async (failure) => {
      await eventually(() => host.destroyed, { what: "the connection to be closed" });
      return failure.code;
    },
  );
}

describe("a host that the plugin connects to, with AutoMTLS", () => {
  test("lets in the pinned certificate, whatever its dates", async () => {
    expect(await letIn(pinned(PLUGIN), PLUGIN)).toBe("welcome");
    expect(await letIn(pinned(LATER), LATER)).toBe("welcome");
    expect(await letIn(pinned(PLUGIN), PLUGIN, { maxVersion: "TLSv1.2" })).toBe("welcome");
  });

  test.each<[string, Certificate | undefined, ConnectionOptions]>([
    ["another certificate of the same name", OTHER, {}],
    ["none", undefined, {}],
    ["none, over TLS 1.2", undefined, { maxVersion: "TLSv1.2" }],
    ["our own certificate", HOST, {}],
    ["the right one, without HTTP/2", PLUGIN, { ALPNProtocols: [] }],
    ["the right one, with another protocol", PLUGIN, { ALPNProtocols: ["http/1.1"] }],
    [
      "the right one, over TLS 1.1",
      PLUGIN,
      { minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" },
    ],
  ])("refuses %s", async (_what, shown, more) => {
    expect(await letIn(pinned(PLUGIN), shown, more)).toBe("handshake-failed");
  });

  test("refuses one who does not speak TLS, who leaves, and who says nothing", async () => {
    const [host, plugin] = await pair();
    plugin.write("GET / HTTP/1.1\r\n\r\n");
    await expect(secureAsServer(host, pinned(PLUGIN), NEVER)).rejects.toMatchObject({ code: "handshake-failed" });
    const [second, leaves] = await pair();
    leaves.destroy();
    await expect(secureAsServer(second, pinned(PLUGIN), NEVER)).rejects.toMatchObject({ code: "handshake-failed" });
    const [third] = await pair();
    const giveUp = new AbortController();
    const waiting = secureAsServer(third, pinned(PLUGIN), giveUp.signal);
    giveUp.abort();
    await expect(waiting).rejects.toMatchObject({ code: "aborted" });
    expect(third.destroyed).toBe(true);
  });
});

describe("certificates of the caller's own", () => {
  test("let in whom their authority vouches for", async () => {
    expect(await letIn(own(PLUGIN), PLUGIN)).toBe("welcome");
  });

  test.each<[string, PluginTls, Certificate | undefined]>([
    ["another one", own(PLUGIN), OTHER],
    ["none", own(PLUGIN), undefined],
    ["one that is not valid yet", own(LATER), LATER],
  ])("refuse %s", async (_what, tls, shown) => {
    expect(await letIn(tls, shown)).toBe("handshake-failed");
  });

  /** Whether a host with `tls` connects to a plugin that shows `shown` and demands the host's certificate. */
  async function reach(tls: PluginTls, shown: Certificate): Promise<string> {
    const [host, plugin] = await pair();
    const served = secureAsServer(
      plugin,
      { ca: HOST.certificatePem, cert: shown.certificatePem, key: shown.privateKeyPem },
      NEVER,
    );
    served.then(
      (socket) => made.push(socket.resume()),
      () => {},
    );
    return secure(host, tls, NEVER).then(
      (socket) => {
        made.push(socket);
        return "reached";
      },
      (failure) => failure.code,
    );
  }

  test("reach whom their authority vouches for, by its name", async () => {
    expect(await reach(own(PLUGIN), PLUGIN)).toBe("reached");
    expect(await reach(own(PLUGIN, { servername: "plugin.example" }), PLUGIN)).toBe("handshake-failed");
    expect(await reach(own(PLUGIN), OTHER)).toBe("handshake-failed");
    expect(await reach(own(LATER), LATER)).toBe("handshake-failed");
    expect(await reach(pinned(LATER), LATER)).toBe("reached");
  });

  test("open an encrypted key, and say what is wrong without saying what is secret", async () => {
    const key = createPrivateKey(HOST.privateKeyPem)
      .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: PASSPHRASE })
      .toString();
    expect(await reach(own(PLUGIN, { key, passphrase: PASSPHRASE }), PLUGIN)).toBe("reached");
    const bad: Partial<PluginTls>[] = [
      { key, passphrase: "close sesame" },
      { key: OTHER.privateKeyPem },
      { key: "no key" },
      { cert: "no certificate" },
    ];
    for (const more of bad) {
      const [host, plugin] = await pair();
      for (const [stream, take] of [
        [host, secure],
        [plugin, secureAsServer],
      ] as const) {
        const failure = await take(stream, own(PLUGIN, more), NEVER).catch((error) => error);
        expect(failure.code).toBe("config-error");
        expect(failure.message).not.toMatch(/sesame|PRIVATE KEY/);
        expect(stream.destroyed).toBe(true);
      }
    }
  });
});

test("the certificates of these tests are what they are said to be", () => {
  expect(new Date(new X509Certificate(LATER.der).validFrom).getFullYear()).toBe(2100);
});
