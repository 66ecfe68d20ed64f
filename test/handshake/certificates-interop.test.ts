import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, createServer, type SecureVersion, type TLSSocket } from "node:tls";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Certificate,
  type Curve,
  createCertificate,
  encodeCertificateField,
} from "../../src/handshake/certificates.ts";

const CURVES: Curve[] = ["P-521", "P-256"];
const installed = (command: string, argument: string) => spawnSync(command, [argument]).status === 0;

/** What a TLS server saw of its client, after both have verified each other in go-plugin's way. */
async function shakeHands(host: Certificate, plugin: Certificate, version: SecureVersion, trusted = plugin) {
  const server = createServer({
    cert: plugin.certificatePem,
    key: plugin.privateKeyPem,
    ca: host.certificatePem,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ["h2"],
  });
  const arrived = once(server, "secureConnection") as Promise<[TLSSocket]>;
  arrived.catch(() => {});
  server.on("tlsClientError", () => {});
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  const client = connect({
    host: "127.0.0.1",
    port: typeof address === "object" && address ? address.port : 0,
    servername: "localhost",
    cert: host.certificatePem,
    key: host.privateKeyPem,
    ca: trusted.certificatePem,
    ALPNProtocols: ["h2"],
    minVersion: version,
    maxVersion: version,
  });
  try {
    await once(client, "secureConnect");
    const [accepted] = await arrived;
    accepted.on("error", () => {});
    return {
      protocol: client.getProtocol(),
      alpn: client.alpnProtocol,
      clientAuthorized: client.authorized,
      serverAuthorized: accepted.authorized,
      seenByHost: client.getPeerX509Certificate()?.raw,
      seenByPlugin: accepted.getPeerX509Certificate()?.raw,
    };
  } finally {
    client.on("error", () => {});
    client.destroy();
    server.close();
  }
}

describe.each(CURVES)("two certificates on %s", (curve) => {
  const host = createCertificate({ curve });
  const plugin = createCertificate({ curve });

  test.each(["TLSv1.2", "TLSv1.3"] as const)("authenticate each other over %s", async (version) => {
    expect(await shakeHands(host, plugin, version)).toEqual({
      protocol: version,
      alpn: "h2",
      clientAuthorized: true,
      serverAuthorized: true,
      seenByHost: plugin.der,
      seenByPlugin: host.der,
    });
  });

  test("do not vouch for a third one, though all bear the same name", async () => {
    const other = createCertificate({ curve });
    await expect(shakeHands(host, plugin, "TLSv1.3", other)).rejects.toThrow();
  });
});

describe.skipIf(!installed("openssl", "version"))("openssl", () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "certificates-"));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  test.each(CURVES)("verifies and prints a certificate on %s", (curve) => {
    const file = join(directory, `${curve}.pem`);
    writeFileSync(file, createCertificate({ curve }).certificatePem);
    const run = (...words: string[]) => execFileSync("openssl", words, { encoding: "utf8", stdio: "pipe" });
    for (const purpose of ["sslclient", "sslserver"]) {
      const strictly = ["-x509_strict", "-check_ss_sig", "-verify_hostname", "localhost", "-purpose", purpose];
      expect(run("verify", ...strictly, "-CAfile", file, file)).toBe(`${file}: OK\n`);
    }
    const text = run("x509", "-in", file, "-noout", "-text").replace(/ +/g, " ");
    expect(text).toContain("Version: 3 (0x2)");
    expect(text).toContain(`Signature Algorithm: ecdsa-with-SHA${curve === "P-521" ? 512 : 256}\n`);
    expect(text).toMatch(
      /Key Usage: critical\n Digital Signature, Key Encipherment, Key Agreement, Certificate Sign\n/,
    );
    expect(text).toMatch(/Extended Key Usage: ?\n TLS Web Client Authentication, TLS Web Server Authentication\n/);
    expect(text).toMatch(/Basic Constraints: critical\n CA:TRUE\n/);
    expect(text).toMatch(/Subject Key Identifier: ?\n ([0-9A-F]{2}:){19}[0-9A-F]{2}\n/);
    expect(text).toMatch(/Subject Alternative Name: ?\n DNS:localhost\n/);
  });
});

describe.skipIf(!installed("go", "version"))("Go", () => {
  const source = fileURLToPath(new URL("fixtures/certcheck", import.meta.url));
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), "certcheck-"));
    const env = { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "-mod=readonly" };
    execFileSync("go", ["build", "-o", join(directory, "certcheck"), "."], { cwd: source, env, stdio: "pipe" });
  }, 300_000);
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test.each(CURVES)("takes a certificate on %s for one of go-plugin's", (curve) => {
    const { certificatePem, der } = createCertificate({ curve });
    const output = execFileSync(join(directory, "certcheck"), { input: certificatePem, encoding: "utf8" });
    const { notBefore, notAfter, keyUsage, goPluginUsage, ...rest } = JSON.parse(output);
    expect(rest).toEqual({
      subject: "CN=localhost,O=HashiCorp",
      issuer: "CN=localhost,O=HashiCorp",
      dnsNames: ["localhost"],
      version: 3,
      serialPositive: true,
      isCA: true,
      extKeyUsage: [2, 1],
      unknownExtKeyUsage: 0,
      unhandledCritical: 0,
      subjectKeyId: 20,
      signature: curve === "P-521" ? "ECDSA-SHA512" : "ECDSA-SHA256",
      field: encodeCertificateField(der),
    });
    expect(keyUsage).toBe(goPluginUsage);
    const hours = (Date.parse(notAfter) - Date.parse(notBefore)) / 3_600_000;
    expect(hours).toBe(262_980 + 24);
  });
});
