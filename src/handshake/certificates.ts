import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto";
import { inspect } from "node:util";
import { PluginError } from "../contract/errors.ts";
import { bits, der, explicit, integer, octets, oid, printable, sequence, set, TRUE, time } from "./der.ts";

/** A certificate for one run of one plugin, with its private key. */
export interface Certificate {
  /** For `PLUGIN_CLIENT_CERT` and for TLS. Ends in a newline. */
  readonly certificatePem: string;
  /** Never leaves this process. Not enumerable, so printing the object does not print it. */
  readonly privateKeyPem: string;
  /** What the peer sends in TLS, byte for byte: the thing to compare with. */
  readonly der: Buffer;
}

/** go-plugin uses P-521. The curve is not part of the protocol, and old gRPC cores (Python, C++) know P-256 only. */
export type Curve = "P-521" | "P-256";

/** How a key on each curve signs. */
const SIGNATURES: Record<Curve, { hash: string; algorithm: Buffer }> = {
  "P-521": { hash: "sha512", algorithm: sequence(oid("1.2.840.10045.4.3.4")) },
  "P-256": { hash: "sha256", algorithm: sequence(oid("1.2.840.10045.4.3.2")) },
};

/** `O=HashiCorp, CN=localhost`, both subject and issuer: what every go-plugin certificate says. */
const NAME = sequence(
  set(sequence(oid("2.5.4.10"), printable("HashiCorp"))),
  set(sequence(oid("2.5.4.3"), printable("localhost"))),
);

/** go-plugin allows 30 s of clock difference. Two machines may be further apart than one machine is from itself. */
const BACK_DATED_MS = 24 * 60 * 60 * 1000;

/** 30 years, as in go-plugin. */
const VALID_MS = 262_980 * 60 * 60 * 1000;

/** digitalSignature, keyEncipherment, keyAgreement and keyCertSign, as bits 0, 2, 4 and 5 of six. */
const KEY_USAGE = bits(Buffer.of(0b1010_1100), 2);

/**
 * Makes a self-signed certificate for AutoMTLS, of the shape that go-plugin itself makes (`mtls.go`), but valid from
 * yesterday, so that a clock on the box that is behind ours does no harm.
 *
 * It takes some 4 ms on P-521 and less than 1 ms on P-256, so it does not need to be asynchronous.
 *
 * @param curve @default "P-521"
 */
export function createCertificate({ curve = "P-521" }: { curve?: Curve } = {}): Certificate {
  if (!Object.hasOwn(SIGNATURES, curve)) {
    throw new PluginError("bad-options", `\`curve\` must be "P-521" or "P-256", not ${inspect(curve)}.`);
  }
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: curve });
  const { hash, algorithm } = SIGNATURES[curve];
  const content = toBeSigned(publicKey, algorithm, Date.now());
  const encoded = sequence(content, algorithm, bits(sign(hash, content, privateKey)));
  const privateKeyPem = privateKey.export({ type: "sec1", format: "pem" }).toString();
  const shown = { certificatePem: certificateToPem(encoded), der: encoded };
  // An accessor, because inspecting with `showHidden` prints the values of hidden properties, but calls no getters.
  return Object.defineProperty(shown, "privateKeyPem", { get: () => privateKeyPem }) as Certificate;
}

/** The PEM form of a certificate, ending in a newline. */
export function certificateToPem(encoded: Uint8Array): string {
  const lines = Buffer.from(encoded)
    .toString("base64")
    .replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/** Field 6 of the handshake line for a certificate: standard base64 without padding. */
export function encodeCertificateField(encoded: Uint8Array): string {
  return Buffer.from(encoded).toString("base64").replace(/=+$/, "");
}

/**
 * The certificate in field 6 of a handshake line. As strict as go-plugin: padding and the URL alphabet are refused, and
 * so is what is not one certificate.
 *
 * @throws {PluginError} `handshake-failed`, with go-plugin's prefix `error parsing server cert: `
 */
export function decodeCertificateField(field: string): Buffer {
  const text = field.replaceAll("\r", "");
  const illegal = text.search(/[^A-Za-z0-9+/]/);
  if (illegal >= 0 || text.length % 4 === 1) {
    throw unreadable(`illegal base64 data at input byte ${illegal >= 0 ? illegal : text.length - 1}`);
  }
  const encoded = Buffer.from(text, "base64");
  let read: Buffer;
  try {
    read = new X509Certificate(encoded).raw;
  } catch (cause) {
    throw unreadable("it is not an X.509 certificate", cause);
  }
  if (!read.equals(encoded)) throw unreadable("trailing data");
  return encoded;
}

/** The part of the certificate that is signed (RFC 5280, 4.1). */
function toBeSigned(publicKey: KeyObject, algorithm: Buffer, nowMs: number): Buffer {
  const subjectKey = publicKey.export({ type: "spki", format: "der" });
  // A byte of 1 in front keeps the number positive and minimal whatever the 128 random bits are.
  const serial = integer(Buffer.of(1), randomBytes(16));
  const validity = sequence(time(new Date(nowMs - BACK_DATED_MS)), time(new Date(nowMs + VALID_MS)));
  const version3 = explicit(0, integer(Buffer.of(2)));
  return sequence(version3, serial, algorithm, NAME, validity, NAME, subjectKey, explicit(3, extensions(subjectKey)));
}

/** What the key may be used for, by whom, under which name. */
function extensions(subjectKey: Buffer): Buffer {
  // Any value that follows from the key will do (RFC 5280, 4.2.1.2).
  const keyIdentifier = createHash("sha256").update(subjectKey).digest().subarray(0, 20);
  const clientAndServer = sequence(oid("1.3.6.1.5.5.7.3.2"), oid("1.3.6.1.5.5.7.3.1"));
  const localhost = sequence(der(0x82, Buffer.from("localhost")));
  return sequence(
    sequence(oid("2.5.29.15"), TRUE, octets(KEY_USAGE)),
    sequence(oid("2.5.29.37"), octets(clientAndServer)),
    sequence(oid("2.5.29.19"), TRUE, octets(sequence(TRUE))),
    sequence(oid("2.5.29.14"), octets(octets(keyIdentifier))),
    sequence(oid("2.5.29.17"), octets(localhost)),
  );
}

/** go-plugin's error for a certificate field that cannot be used. */
function unreadable(why: string, cause?: unknown): PluginError {
  return new PluginError("handshake-failed", `error parsing server cert: ${why}`, {
    hint: "Field 6 of the plugin's handshake line must be its certificate as DER, in standard base64 without padding.",
    cause,
  });
}
