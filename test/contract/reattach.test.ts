import { describe, expect, test } from "vitest";
import type { PluginErrorCode } from "../../src/contract/errors.ts";
import { parseReattachConfig, type ReattachConfig } from "../../src/contract/reattach.ts";

const LOCAL: ReattachConfig = {
  protocol: "grpc",
  protocolVersion: 3,
  addr: { network: "unix", path: "/tmp/plugin1" },
  pid: 7,
};
const BOX: ReattachConfig = {
  ...LOCAL,
  addr: { network: "tcp", host: "127.0.0.1", port: 12_345 },
  processStartTime: "123456",
  test: false,
  destination: "ssh://me@box:22",
  pluginAddr: { network: "unix", path: "/tmp/gp-1/plugin1" },
};
const GO = {
  Protocol: "grpc",
  ProtocolVersion: 5,
  Pid: 1234,
  Test: true,
  Addr: { Network: "unix", String: "/tmp/plugin123" },
};

test.each([LOCAL, { ...LOCAL, pid: 0 }, BOX])("a config survives JSON", (config) => {
  expect(parseReattachConfig(JSON.parse(JSON.stringify(config)))).toEqual(config);
});

describe("go-plugin's own form", () => {
  test("is understood", () => {
    const addr = { network: "unix", path: "/tmp/plugin123" };
    const config = { protocol: "grpc", protocolVersion: 5, pid: 1234, test: true, addr };
    expect(parseReattachConfig(GO)).toEqual(config);
    const tcp = parseReattachConfig({ ...GO, Addr: { Network: "tcp", String: "[::1]:99" } });
    expect(tcp.addr).toEqual({ network: "tcp", host: "::1", port: 99 });
  });

  test("may leave out what Go has a zero for, but not the protocol: Go's zero is net/rpc", () => {
    const { Protocol, Addr } = GO;
    expect(parseReattachConfig({ Protocol, Addr })).toEqual({
      protocol: "grpc",
      protocolVersion: 0,
      pid: 0,
      addr: { network: "unix", path: "/tmp/plugin123" },
    });
  });
});

const REFUSED: [what: string, value: unknown, says: RegExp, code?: PluginErrorCode][] = [
  ["nothing", undefined, /must be an object, not undefined/],
  ["null", null, /must be an object, not null/],
  ["a list", [LOCAL], /must be an object/],
  ["its JSON", JSON.stringify(LOCAL), /must be an object[\s\S]*has to be parsed first/],
  ["an empty object", {}, /`protocol`.*undefined/],
  ["another protocol", { ...LOCAL, protocol: "http" }, /`protocol`.*"grpc", not "http"/],
  ["net/rpc", { ...LOCAL, protocol: "netrpc" }, /net\/rpc/, "unsupported"],
  ["net/rpc as Go says it", { ...GO, Protocol: "" }, /net\/rpc/, "unsupported"],
  ["a version as a text", { ...LOCAL, protocolVersion: "3" }, /`protocolVersion`.*"3"/],
  ["a negative version", { ...LOCAL, protocolVersion: -1 }, /`protocolVersion`.*-1/],
  ["no pid", { ...LOCAL, pid: undefined }, /`pid`.*undefined/],
  ["everybody's pid", { ...LOCAL, pid: -1 }, /`pid`.*-1/],
  ["half a pid", { ...GO, Pid: 1.5 }, /`Pid`.*1\.5/],
  ["no address", { ...LOCAL, addr: undefined }, /`addr` must be an object/],
  ["a relative path", { ...LOCAL, addr: { network: "unix", path: "tmp/p" } }, /`addr`.*absolute path/],
  ["an address of two kinds", { ...LOCAL, addr: { network: "unix", path: "/p", port: 1 } }, /`addr` of a reattach/],
  ["a port beyond all ports", { ...LOCAL, addr: { network: "tcp", host: "::1", port: 65_536 } }, /`addr`.*65536/],
  ["a port that nobody chose", { ...LOCAL, addr: { network: "tcp", host: "::1", port: 0 } }, /`addr\.port`.*0/],
  ["an address without a network", { ...LOCAL, addr: { path: "/p" } }, /`addr`.*"\/p"/],
  ["no address, as Go says it", { ...GO, Addr: undefined }, /`Addr` must be an object/],
  ["an odd network, as Go says it", { ...GO, Addr: { Network: "udp", String: ":1" } }, /`Addr`.*"udp"/],
  ["no port, as Go says it", { ...GO, Addr: { Network: "tcp", String: "localhost" } }, /`Addr`/],
  ["an empty address, as Go says it", { ...GO, Addr: { Network: "unix", String: "" } }, /`Addr\.String`/],
  ["a start time as a number", { ...LOCAL, processStartTime: 1 }, /`processStartTime`.*1/],
  ["an empty start time", { ...LOCAL, processStartTime: "" }, /`processStartTime`/],
  ["test as a text", { ...LOCAL, test: "yes" }, /`test`.*"yes"/],
  ["a box without an address", { ...LOCAL, destination: "ssh://a@b:22" }, /both `destination` and `pluginAddr`/],
  ["an address on no box", { ...LOCAL, pluginAddr: LOCAL.addr }, /both `destination` and `pluginAddr`/],
  ["a destination in two lines", { ...BOX, destination: "a\nb" }, /`destination`/],
  ["a slip of the pen", { ...LOCAL, processStarttime: "1" }, /no "processStarttime"/],
  [
    "all providers at once",
    { "registry.terraform.io/a/b": GO },
    /no "registry\.terraform\.io\/a\/b"[\s\S]*one provider/,
  ],
  ["the fields of both forms", { ...LOCAL, ...GO }, /no "protocol"/],
];

test.each(REFUSED)("%s is refused", (_what, value, says, code = "bad-options") => {
  expect(() => parseReattachConfig(value)).toThrow(
    expect.objectContaining({ name: "PluginError", code, message: expect.stringMatching(says) }),
  );
});
