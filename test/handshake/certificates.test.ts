import { createPrivateKey, X509Certificate } from "node:crypto";
import { inspect } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import {
  certificateToPem,
  createCertificate,
  decodeCertificateField,
  encodeCertificateField,
} from "../../src/handshake/certificates.ts";

afterEach(() => void vi.useRealTimers());

describe("a new certificate", () => {
  test.each([
    ["P-521", "secp521r1"],
    ["P-256", "prime256v1"],
  ] as const)("on %s is what Node takes for a self-signed CA called localhost", (curve, namedCurve) => {
    const made = createCertificate({ curve });
    const read = new X509Certificate(made.certificatePem);
    expect(read.raw).toEqual(made.der);
    expect(read.subject).toBe("O=HashiCorp\nCN=localhost");
    expect(read.issuer).toBe(read.subject);
    expect(read.subjectAltName).toBe("DNS:localhost");
    expect(read.ca).toBe(true);
    expect(read.checkHost("localhost", { subject: "never" })).toBe("localhost");
    expect(read.verify(read.publicKey)).toBe(true);
    expect(read.checkIssued(read)).toBe(true);
    expect(read.checkPrivateKey(createPrivateKey(made.privateKeyPem))).toBe(true);
    expect(read.publicKey.asymmetricKeyDetails).toEqual({ namedCurve });
    expect(read.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]);
  });

  test("is on P-521 unless asked otherwise, with a key in SEC1 form", () => {
    const { certificatePem, privateKeyPem } = createCertificate();
    expect(new X509Certificate(certificatePem).publicKey.asymmetricKeyDetails).toEqual({ namedCurve: "secp521r1" });
    expect(privateKeyPem).toMatch(/^-----BEGIN EC PRIVATE KEY-----\n/);
  });

  test("is valid since yesterday and for thirty years", () => {
    vi.useFakeTimers({ now: new Date("2026-03-01T12:00:00Z"), toFake: ["Date"] });
    const { validFrom, validTo } = new X509Certificate(createCertificate({ curve: "P-256" }).der);
    expect(new Date(validFrom).toISOString()).toBe("2026-02-28T12:00:00.000Z");
    expect(new Date(validTo).toISOString()).toBe("2056-03-01T00:00:00.000Z");
  });

  test("has a positive serial number and a key of its own each time", () => {
    const several = Array.from({ length: 50 }, () => createCertificate({ curve: "P-256" }));
    const serials = several.map((one) => new X509Certificate(one.der).serialNumber);
    expect(new Set(serials).size).toBe(several.length);
    expect(serials.every((serial) => /^01[0-9A-F]{32}$/.test(serial))).toBe(true);
    expect(new Set(several.map((one) => one.privateKeyPem)).size).toBe(several.length);
  });

  test("does not show its private key when it is printed", () => {
    const made = createCertificate();
    const shown = [
      inspect(made, { showHidden: true, depth: 9 }),
      JSON.stringify(made),
      JSON.stringify({ ...made }),
      String(made),
      Object.values(made).join(),
    ].join();
    expect(shown).toContain("BEGIN CERTIFICATE");
    expect(shown).not.toContain("PRIVATE KEY");
    expect(shown).not.toContain(made.privateKeyPem.split("\n")[1]);
    expect(made.privateKeyPem).toContain("PRIVATE KEY");
  });

  test.each(["P-384", "toString", undefined])("on the curve %s is refused, except for the default", (curve) => {
    const make = () => createCertificate({ curve: curve as "P-521" });
    if (curve === undefined) expect(make().der.length).toBeGreaterThan(500);
    else
      expect(make).toThrow(expect.objectContaining({ code: "bad-options", message: expect.stringContaining(curve) }));
  });
});

describe("the PEM form", () => {
  test("has lines of 64 characters, the last one too, and ends in a newline", () => {
    for (const size of [1, 47, 48, 49, 96, 500]) {
      const [begin, ...rest] = certificateToPem(Buffer.alloc(size, 0xa5)).split("\n");
      expect(begin).toBe("-----BEGIN CERTIFICATE-----");
      expect(rest.slice(-2)).toEqual(["-----END CERTIFICATE-----", ""]);
      const lines = rest.slice(0, -2);
      expect(lines.slice(0, -1).every((line) => line.length === 64)).toBe(true);
      expect(lines.at(-1)).toMatch(/^.{1,64}$/);
      expect(Buffer.from(lines.join(""), "base64")).toEqual(Buffer.alloc(size, 0xa5));
    }
  });

  test("is what Node itself would write", () => {
    const { der, certificatePem } = createCertificate();
    expect(certificatePem).toBe(new X509Certificate(der).toString());
  });
});

describe("field 6", () => {
  const { der } = createCertificate();
  const field = encodeCertificateField(der);

  test("is unpadded standard base64 and comes back as it was", () => {
    for (const size of [0, 1, 2, 3]) {
      const bytes = Buffer.alloc(size, 0xff);
      expect(encodeCertificateField(bytes)).toBe(["", "/w", "//8", "////"][size]);
    }
    expect(field).toMatch(/^[A-Za-z0-9+/]{700,900}$/);
    expect(decodeCertificateField(field)).toEqual(der);
  });

  test("may contain carriage returns, which Go skips", () => {
    expect(decodeCertificateField(`${field.slice(0, 64)}\r${field.slice(64)}`)).toEqual(der);
  });

  test.each([
    ["padding", "AAAA==", "illegal base64 data at input byte 4"],
    ["the URL alphabet", "AA-_", "illegal base64 data at input byte 2"],
    ["white space", "AAA AA", "illegal base64 data at input byte 3"],
    ["a single last character", "AAAAA", "illegal base64 data at input byte 4"],
    ["nothing", "", "it is not an X.509 certificate"],
    ["bytes that are no certificate", "AAAA", "it is not an X.509 certificate"],
    ["a certificate that was cut", field.slice(0, 200), "it is not an X.509 certificate"],
    ["more than a certificate", encodeCertificateField(Buffer.concat([der, Buffer.of(0)])), "trailing data"],
    ["a certificate as PEM", encodeCertificateField(Buffer.from(certificateToPem(der))), "trailing data"],
  ])("with %s is refused with go-plugin's prefix", (_, text, why) => {
    const decode = () => decodeCertificateField(text);
    expect(decode).toThrow(PluginError);
    expect(decode).toThrow(
      expect.objectContaining({
        code: "handshake-failed",
        message: expect.stringContaining(`[handshake-failed] error parsing server cert: ${why}\n`),
      }),
    );
  });
});
