import { describe, expect, test } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { createCertificate, encodeCertificateField } from "../../src/handshake/certificates.ts";
import {
  checkProtocol,
  checkVersion,
  formatHandshakeLine,
  type HandshakeExpectations,
  type HandshakeLine,
  hasHandshakeFields,
  parseHandshakeLine,
} from "../../src/handshake/handshake-line.ts";
import { harmless } from "../../src/lifetime/tail.ts";
import fc from "../tools/property.ts";

const { der } = createCertificate({ curve: "P-256" });
const field = encodeCertificateField(der);
const unix: Address = { network: "unix", path: "/tmp/plugin1" };

/** A line as plugins of today print it, with what a row of a table has to say. */
const handshake = (differences: Partial<HandshakeLine> = {}): HandshakeLine => ({
  coreProtocolVersion: 1,
  appProtocolVersion: 5,
  address: unix,
  protocol: "grpc",
  certificate: undefined,
  multiplexed: undefined,
  ...differences,
});

describe("a line that go-plugin takes", () => {
  const tcp = (host: string, port: number): Address => ({ network: "tcp", host, port });
  test.each<[string, Partial<HandshakeLine>]>([
    ["1|5|unix|/tmp/plugin1|grpc|", {}],
    ["1|5|unix|/tmp/plugin1|grpc", {}],
    ["1|5|unix|/tmp/plugin1", { protocol: "netrpc" }],
    ["1|1|tcp|:1234", { protocol: "netrpc", appProtocolVersion: 1, address: tcp("", 1234) }],
    ["1|5|tcp|127.0.0.1:1234|netrpc|", { protocol: "netrpc", address: tcp("127.0.0.1", 1234) }],
    ["1|5|tcp|[::1]:1234|grpc|", { address: tcp("::1", 1234) }],
    ["  1|5|unix|/tmp/plugin1|grpc|\r\n", {}],
    ["+1|-05|unix|/tmp/plugin1|grpc|", { appProtocolVersion: -5 }],
    [`1|5|unix|/tmp/plugin1|grpc|${field}`, { certificate: der }],
    [`1|5|unix|/tmp/plugin1|grpc|${field}|true`, { certificate: der, multiplexed: true }],
    ["1|5|unix|/tmp/plugin1|grpc||true", { multiplexed: true }],
    ["1|5|unix|/tmp/plugin1|grpc||F", { multiplexed: false }],
    ["1|5|unix|/tmp/plugin1|grpc||nonsense that nobody asked for", {}],
    ["1|5|unix|/tmp/plugin1|grpc||true|and|more", { multiplexed: true }],
    [`1|5|unix|/tmp/plugin1|grpc|${"=".repeat(50)}`, {}],
  ])("%s", (line, differences) => {
    expect(parseHandshakeLine(line)).toEqual(handshake(differences));
  });
});

describe("a line that go-plugin refuses, with its text", () => {
  const noMux = "client requested gRPC broker multiplexing but plugin does not support the feature";
  const core =
    "Core version: 1\n\nTo fix this, the plugin usually only needs to be recompiled.\n" +
    "Please report this to the plugin author";
  const apiVersion = "incompatible API version with plugin. Plugin version: 5, Client versions:";
  test.each<[string, string, HandshakeExpectations?]>([
    ["", "Unrecognized remote plugin message: "],
    ["hello", "Unrecognized remote plugin message: hello"],
    ["1|5|unix", "Unrecognized remote plugin message: 1|5|unix"],
    ["x|5|unix|/a", 'error parsing core protocol version: strconv.Atoi: parsing "x": invalid syntax'],
    ["|||", 'error parsing core protocol version: strconv.Atoi: parsing "": invalid syntax'],
    ["2|5|unix|/a", `incompatible core API version with plugin. Plugin version: 2, ${core}`],
    ["1|x|unix|/a", 'Error parsing protocol version "x": strconv.Atoi: parsing "x": invalid syntax'],
    ["1|9007199254740992|unix|/a", 'Error parsing protocol version "9007199254740992": value out of range'],
    ["1|-9223372036854775808|unix|/a", 'Error parsing protocol version "-9223372036854775808": value out of range'],
    ["1|5|unix|/a", `${apiVersion} [1 2]`, { versions: [1, 2] }],
    ["1|5|unix|/a", `${apiVersion} []`, { versions: [] }],
    ["1|5|udp|:1", "unknown address type: :1"],
    ["1|5|unix|", "unknown address type: "],
    ["1|5|unix|/tmp/\x1b[2J", "unknown address type: /tmp/\\x1b[2J"],
    ["1|5|tcp|\x07:1", "unknown address type: \\x07:1"],
    ["1|5|tcp|[] :1", "unknown address type: [] :1"],
    ["1|5|tcp|::1]:1", "unknown address type: ::1]:1"],
    ["1|5|tcp|::1:1234", "unknown address type: ::1:1234"],
    ["1|5|tcp|localhost", "unknown address type: localhost"],
    ["1|5|tcp|1.2.3.4:99999", "unknown address type: 1.2.3.4:99999"],
    ["1|5|unix|/a|http", 'unsupported plugin protocol "http". Supported: [netrpc grpc]'],
    ["1|5|unix|/a||", 'unsupported plugin protocol "". Supported: [netrpc grpc]'],
    ["1|5|unix|/a", 'unsupported plugin protocol "netrpc". Supported: [grpc]', { protocols: ["grpc"] }],
    ["1|5|unix|/a|grpc", 'unsupported plugin protocol "grpc". Supported: []', { protocols: [] }],
    [`1|5|unix|/a|grpc|${"=".repeat(51)}`, "error parsing server cert: illegal base64 data at input byte 0"],
    [`1|5|unix|/a|grpc|${"é".repeat(26)}`, "error parsing server cert: illegal base64 data at input byte 0"],
    [
      "1|5|unix|/a|grpc|",
      `${noMux}; for Go plugins, you will need to update the github.com/hashicorp/go-plugin dependency and recompile`,
      { multiplexed: true },
    ],
    [
      "1|5|unix|/a|grpc||yes",
      'error parsing "yes" as a boolean for gRPC broker multiplexing support',
      { multiplexed: true },
    ],
    ["1|5|unix|/a|grpc||false", noMux, { multiplexed: true }],
  ])("%j: %s", (line, text, expected) => {
    const parse = () => parseHandshakeLine(line, expected);
    expect(parse).toThrow(PluginError);
    expect(parse).toThrow(expect.objectContaining({ code: "handshake-failed" }));
    const [message] = catching(parse).message.split(`\n${catching(parse).hint || "no hint"}`);
    expect(message).toBe(`[handshake-failed] ${text}`);
  });

  test("of several things that are wrong the first in go-plugin's order is told", () => {
    const fields = ["2", "x", "udp", "", "http", "=".repeat(60), "no"];
    const repairs = ["1", "9", "unix", "/a", "grpc", field, "true"];
    const expected: HandshakeExpectations = { versions: [9], protocols: ["grpc"], multiplexed: true };
    const told = repairs.map((repair, index) => {
      const error = catching(() => parseHandshakeLine(fields.join("|"), expected));
      fields[index] = repair;
      return error.message.slice("[handshake-failed] ".length, 48);
    });
    expect(told).toEqual([
      expect.stringMatching(/^incompatible core/),
      expect.stringMatching(/^Error parsing protocol/),
      expect.stringMatching(/^unknown address/),
      expect.stringMatching(/^unknown address/),
      expect.stringMatching(/^unsupported plugin protocol/),
      expect.stringMatching(/^error parsing server cert/),
      expect.stringMatching(/^error parsing "no"/),
    ]);
    expect(parseHandshakeLine(fields.join("|"), expected).multiplexed).toBe(true);
  });

  test("a version that was not offered goes before an address that cannot be", () => {
    expect(() => parseHandshakeLine("1|5|udp|x", { versions: [6] })).toThrow("incompatible API version");
  });

  test("multiplexing is not asked of net/rpc, which always has it", () => {
    expect(parseHandshakeLine("1|5|unix|/a|netrpc|", { multiplexed: true }).multiplexed).toBeUndefined();
  });
});

describe("the checks alone", () => {
  test("a version that was offered passes", () => {
    expect(() => checkVersion(5, [6, 5])).not.toThrow();
    expect(() => checkVersion(4, [6, 5])).toThrow("Plugin version: 4, Client versions: [6 5]");
  });

  test("a protocol that is allowed is returned", () => {
    expect(checkProtocol("grpc", ["netrpc", "grpc"])).toBe("grpc");
    expect(() => checkProtocol("gr\u001b", ["grpc"])).toThrow(
      'unsupported plugin protocol "gr\\x1b". Supported: [grpc]',
    );
  });

  test("four fields make a handshake line, three do not", () => {
    expect(hasHandshakeFields("|||")).toBe(true);
    expect(hasHandshakeFields("1|5|unix")).toBe(false);
  });
});

describe("a line of our own", () => {
  test.each<[string, Partial<HandshakeLine>]>([
    ["1|5|unix|/tmp/plugin1|grpc|", {}],
    ["1|5|unix|/tmp/plugin1|netrpc|", { protocol: "netrpc" }],
    ["1|5|tcp|[::1]:80|grpc|", { address: { network: "tcp", host: "::1", port: 80 } }],
    [`1|5|unix|/tmp/plugin1|grpc|${field}`, { certificate: der }],
    ["1|5|unix|/tmp/plugin1|grpc||true", { multiplexed: true }],
    ["1|5|unix|/tmp/plugin1|grpc||false", { multiplexed: false }],
  ])("%s", (line, differences) => {
    expect(formatHandshakeLine(handshake(differences))).toBe(line);
  });

  test.each(["/a|b", "/a\nb", "/a\tb", "/a\rb", "/a\0b"])("with the path %j is refused", (path) => {
    expect(() => formatHandshakeLine(handshake({ address: { network: "unix", path } }))).toThrow(
      expect.objectContaining({ code: "bad-options" }),
    );
  });
});

describe("for whatever comes", () => {
  const path = fc
    .string({ minLength: 1, unit: "binary" })
    .filter((text) => !/[|\p{Cc}]/u.test(text) && harmless(text) === text);
  const host = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain(), fc.constant(""));
  const address: fc.Arbitrary<Address> = fc.oneof(
    fc.record({ network: fc.constant("unix" as const), path }),
    fc.record({ network: fc.constant("tcp" as const), host, port: fc.integer({ min: 0, max: 65_535 }) }),
  );
  const any: fc.Arbitrary<HandshakeLine> = fc.record({
    coreProtocolVersion: fc.constant(1 as const),
    appProtocolVersion: fc.maxSafeInteger(),
    address,
    protocol: fc.constantFrom("grpc" as const, "netrpc" as const),
    certificate: fc.constantFrom(undefined, der),
    multiplexed: fc.constantFrom(undefined, true, false),
  });

  test("what is written is read again as it was", () => {
    const comesBack = (line: HandshakeLine) => {
      expect(parseHandshakeLine(formatHandshakeLine(line))).toEqual(line);
    };
    fc.assert(fc.property(any, comesBack));
  });

  const garbage = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc
      .array(
        fc.oneof(
          fc.constantFrom("1", "5", "unix", "tcp", "/a", ":1", "grpc", "netrpc", "", field, "true"),
          fc.string({ unit: "binary" }),
          fc.base64String({ minLength: 52 }),
        ),
        { minLength: 4, maxLength: 9 },
      )
      .map((fields) => fields.join("|")),
  );

  test("garbage is refused with an error of ours, safe to print, or not at all", () => {
    fc.assert(
      fc.property(garbage, fc.boolean(), (line, strict) => {
        try {
          parseHandshakeLine(line, strict ? { versions: [5], protocols: ["grpc"], multiplexed: true } : {});
        } catch (error) {
          expect(error).toBeInstanceOf(PluginError);
          expect((error as PluginError).code).toBe("handshake-failed");
          expect((error as PluginError).message).not.toMatch(/[\0-\x08\x0b-\x1f\x7f-\x9f]/);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test.each([
    ["one long word", "x".repeat(65_000)],
    ["a long core version", `${"0".repeat(65_000)}x|5|unix|/a`],
    ["a long application version", `1|${"9".repeat(65_000)}|unix|/a`],
    ["a long network", `1|5|${'"'.repeat(65_000)}|/a`],
    ["a long address", `1|5|tcp|${":1".repeat(32_000)}x`],
    ["a long protocol", `1|5|unix|/a|${"x".repeat(65_000)}`],
    ["a long certificate", `1|5|unix|/a|grpc|${"A".repeat(65_000)}`],
    ["a long answer about multiplexing", `1|5|unix|/a|grpc||${"x".repeat(65_000)}`],
  ])("%s makes no long message", (_, line) => {
    const error = catching(() => parseHandshakeLine(line, { multiplexed: true }));
    expect(error.code).toBe("handshake-failed");
    expect(error.message.length).toBeLessThan(8_000);
  });
});

/** The error that `act` throws. */
function catching(act: () => unknown): PluginError {
  try {
    act();
  } catch (error) {
    if (error instanceof PluginError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown.");
}
