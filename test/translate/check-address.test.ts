import { describe, expect, test, vi } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import { longestSocketPath } from "../../src/contract/address.ts";
import { checkPluginAddress, checkSocketPath } from "../../src/translate/check-address.ts";
import { failureOf } from "../connect/failure-of.ts";

const tcp = (host: string, port = 1234): Address => ({ network: "tcp", host, port });
const unix = (length: number): Address => ({ network: "unix", path: `/${"x".repeat(length - 1)}` });

describe("addresses of the box itself", () => {
  test.each<[given: Address, reached: Address]>([
    [tcp("127.0.0.1"), tcp("127.0.0.1")],
    [tcp("127.1.2.3"), tcp("127.1.2.3")],
    [tcp("localhost"), tcp("localhost")],
    [tcp("::1"), tcp("::1")],
    [tcp("::ffff:127.0.0.1"), tcp("::ffff:127.0.0.1")],
    // Everywhere includes the loopback.
    [tcp(""), tcp("127.0.0.1")],
    [tcp("0.0.0.0"), tcp("127.0.0.1")],
    [tcp("::"), tcp("127.0.0.1")],
    [tcp("127.0.0.1", 1), tcp("127.0.0.1", 1)],
    [tcp("127.0.0.1", 65_535), tcp("127.0.0.1", 65_535)],
    [
      { network: "unix", path: "/tmp/plugin123" },
      { network: "unix", path: "/tmp/plugin123" },
    ],
  ])("%j", (given, reached) => {
    const allowAddress = vi.fn(() => false);
    expect(checkPluginAddress(given, "Linux", allowAddress)).toEqual(reached);
    expect(allowAddress).not.toHaveBeenCalled();
  });
});

describe("addresses elsewhere are refused, unless they are allowed", () => {
  test.each([
    "192.0.2.7",
    "10.0.0.1",
    "169.254.169.254",
    "2001:db8::7",
    "fe80::1",
    "::ffff:192.0.2.7",
    "::ffff:127.evil.example",
    "example.com",
    "127.evil.example",
    "localhost.evil.example",
    "0.0.0.1",
  ])("%s", (host) => {
    const failure = failureOf(() => checkPluginAddress(tcp(host), "Linux"));
    expect(failure.code).toBe("handshake-failed");
    expect(failure.message).toContain(host);
    expect(failure.hint).toContain("`allowAddress`");
    const allowAddress = vi.fn(() => true);
    expect(checkPluginAddress(tcp(host), "Linux", allowAddress)).toEqual(tcp(host));
    expect(allowAddress).toHaveBeenCalledWith(tcp(host));
  });
});

test.each([0, -1, 65_536, 1.5])("a port that cannot be reached: %d", (port) => {
  expect(failureOf(() => checkPluginAddress(tcp("127.0.0.1", port), "Linux"))).toMatchObject({
    code: "handshake-failed",
    message: expect.stringContaining("has no port"),
  });
});

describe("the longest path of a socket", () => {
  test.each<[platform: string, longest: number]>([
    ["Linux", 107],
    ["linux", 107],
    ["unknown", 107],
    ["Darwin", 103],
    ["darwin", 103],
    ["FreeBSD", 103],
    ["OpenBSD", 103],
    ["SunOS", 103],
  ])("on %s", (platform, longest) => {
    expect(longestSocketPath(platform)).toBe(longest);
    expect(checkPluginAddress(unix(longest), platform)).toEqual(unix(longest));
    const failure = failureOf(() => checkPluginAddress(unix(longest + 1), platform));
    expect(failure.code).toBe("handshake-failed");
    expect(failure.message).toContain(`has ${longest + 1} bytes; a system takes ${longest}`);
    expect(failure.hint).toContain("`directoryBase`");
  });

  test("is counted in bytes", () => {
    const path = `/${"ü".repeat(53)}`;
    checkSocketPath(path, 107, "forward-failed", "");
    expect(failureOf(() => checkSocketPath(`${path}x`, 107, "forward-failed", "")).message).toContain("108 bytes");
  });
});

test.each(["", "relative", "./x", "@abstract", "\0abstract", "/with\0nul"])("no path of a socket: %j", (path) => {
  const failure = failureOf(() => checkSocketPath(path, 107, "forward-failed", "Because."));
  expect(failure).toMatchObject({ code: "forward-failed", hint: "Because." });
  expect(failure.message).toContain("is not the absolute path of a socket");
});
