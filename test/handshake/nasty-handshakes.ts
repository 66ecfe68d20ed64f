import { createCertificate, encodeCertificateField } from "../../src/handshake/certificates.ts";
import type { Random } from "../tools/random.ts";

const CERTIFICATES = (["P-521", "P-256"] as const).map((curve) => createCertificate({ curve }).der);
const ADDRESSES = [
  "/tmp/plugin1",
  "127.0.0.1:1234",
  ":1234",
  "[::1]:1",
  "[]:0",
  "::1:99999",
  "localhost:",
  "",
  "/é\0",
  "@abstract",
  "a:b:65535",
];
const NUMBERS = [
  "1",
  "1",
  "1",
  "5",
  "0",
  "-1",
  "+1",
  "01",
  "",
  "1.5",
  "1e3",
  "0x1",
  "٣",
  " 1",
  "9223372036854775807",
  "9223372036854775808",
  "-9223372036854775809",
];
const SLIPS = [
  "|",
  "||",
  "\0",
  "\r",
  " ",
  "\t",
  "\x1b[2J",
  "\u202e",
  "\ufeff",
  "é",
  "🙂",
  "=",
  "-",
  "_",
  "\x85",
  "\u2028",
  Buffer.of(0xff),
  Buffer.of(0xe6, 0x97),
];

/** A line that might stand where the handshake should: from right to ruined. Without `\n`. */
export function nastyHandshake(random: Random): Buffer {
  const line = Buffer.from(fields(random).join("|"));
  const kinds = [
    ...Array.from({ length: 4 }, () => () => line),
    () => random.mutate(line, SLIPS),
    () => random.mutate(line, SLIPS),
    () => random.bytes(random.below(100)),
    () => Buffer.from(random.times(random.below(12), () => random.pick(["|", ...NUMBERS])).join("")),
  ];
  return withoutLineEnds(random.pick(kinds)());
}

function withoutLineEnds(bytes: Buffer): Buffer {
  return bytes.includes("\n") ? Buffer.from(bytes.map((byte) => (byte === 0x0a ? 0x20 : byte))) : bytes;
}

function fields(random: Random): string[] {
  const all = [
    random.below(5) > 0 ? "1" : random.below(40) === 0 ? long(random) : random.pick(NUMBERS),
    random.pick(["1", "5", "5", random.pick(NUMBERS)]),
    random.pick(["unix", "unix", "unix", "tcp", "tcp", "udp", ""]),
    random.below(200) === 0 ? long(random) : random.pick(ADDRESSES),
    random.pick(["grpc", "grpc", "grpc", "grpc", "netrpc", "", "http"]),
    random.below(2) === 0 ? "" : certificate(random),
    random.pick(["true", "false", "1", "T", "", "yes", "TRUE"]),
    "more",
  ];
  return all.slice(0, random.pick([6, 6, 7, 7, 5, 4, 3, 8, 0]));
}

/** A certificate in the sixth field, or nearly one. */
function certificate(random: Random): string {
  const der = random.pick(CERTIFICATES);
  const right = encodeCertificateField(der);
  const kinds = [
    ...Array.from({ length: 10 }, () => () => right),
    () => `${right}${"=".repeat(1 + random.below(3))}`,
    () => der.toString("base64url"),
    () => `${right.slice(0, 64)}\r${right.slice(64)}`,
    () => `${right.slice(0, 64)} ${right.slice(64)}`,
    () => right.slice(0, random.below(right.length)),
    () => encodeCertificateField(der.subarray(0, random.below(der.length))),
    () => encodeCertificateField(Buffer.concat([der, random.bytes(1 + random.below(9))])),
    () => encodeCertificateField(random.mutate(der, SLIPS)),
    () => encodeCertificateField(random.bytes(38 + random.below(60))),
    () => der.toString("hex"),
    () => "A".repeat(random.below(60)),
    () => (random.below(20) === 0 ? long(random) : right),
  ];
  return random.pick(kinds)();
}

/** So long that the line does not fit into Go's 64 KiB, or only just. */
function long(random: Random): string {
  return random.pick(["9", "A", "x", "é", "\0", "="]).repeat(64 * 1024 - 10 + random.below(1_000));
}
