import { describe, expect, test } from "vitest";
import { PLUGIN_VARIABLES, type PluginEnvironmentOptions, pluginEnvironment } from "../../src/handshake/environment.ts";

const cookie = { magicCookieKey: "BASIC_PLUGIN", magicCookieValue: "hello", protocolVersions: [1] };

describe("the plugin's environment", () => {
  test("is the least that every plugin needs, unless more is asked for", () => {
    expect(Object.entries(pluginEnvironment({ ...cookie, protocolVersions: [6, 5] }))).toEqual([
      ["BASIC_PLUGIN", "hello"],
      ["PLUGIN_MIN_PORT", "10000"],
      ["PLUGIN_MAX_PORT", "25000"],
      ["PLUGIN_PROTOCOL_VERSIONS", "6,5"],
    ]);
  });

  test("comes in go-plugin's order, the cookie right before PLUGIN_MIN_PORT", () => {
    const everything = pluginEnvironment({
      unixSocketGroup: "1000",
      clientCertificatePem: "-----BEGIN CERTIFICATE-----\n",
      multiplex: true,
      protocolVersions: [0],
      maxPort: 2,
      minPort: 1,
      magicCookieValue: "a value\nof two lines",
      magicCookieKey: "zookie",
    });
    expect(Object.entries(everything)).toEqual([
      ["zookie", "a value\nof two lines"],
      ["PLUGIN_MIN_PORT", "1"],
      ["PLUGIN_MAX_PORT", "2"],
      ["PLUGIN_PROTOCOL_VERSIONS", "0"],
      ["PLUGIN_MULTIPLEX_GRPC", "true"],
      ["PLUGIN_CLIENT_CERT", "-----BEGIN CERTIFICATE-----\n"],
      ["PLUGIN_UNIX_SOCKET_GROUP", "1000"],
    ]);
    expect(Object.keys(everything).slice(1)).toEqual(PLUGIN_VARIABLES.slice(0, -1));
  });

  test("has nothing for an option that is off or undefined", () => {
    const off = { multiplex: false, clientCertificatePem: undefined, unixSocketGroup: "", minPort: undefined };
    expect(pluginEnvironment({ ...cookie, ...off })).toEqual(pluginEnvironment(cookie));
  });

  test("keeps a cookie that is called __proto__", () => {
    expect(Object.entries(pluginEnvironment({ ...cookie, magicCookieKey: "__proto__" }))[0]).toEqual([
      "__proto__",
      "hello",
    ]);
  });

  test.each<[string, Partial<Record<keyof PluginEnvironmentOptions, unknown>>]>([
    ["`magicCookieKey`", { magicCookieKey: "" }],
    ["`magicCookieKey`", { magicCookieKey: "A=B" }],
    ["`magicCookieKey`", { magicCookieKey: "A\0" }],
    ["`magicCookieKey`", { magicCookieKey: "A\n" }],
    ["`magicCookieKey`", { magicCookieKey: "1A" }],
    ["`magicCookieKey`", { magicCookieKey: "PLUGIN_MIN_PORT" }],
    ["`magicCookieKey`", { magicCookieKey: undefined }],
    ["`magicCookieValue`", { magicCookieValue: "" }],
    ["`magicCookieValue`", { magicCookieValue: "a\0" }],
    ["`magicCookieValue`", { magicCookieValue: 7 }],
    ["`minPort`", { minPort: -1 }],
    ["`minPort`", { minPort: 1.5 }],
    ["`minPort`", { minPort: "10000" }],
    ["`maxPort`", { maxPort: 65_536 }],
    ["`maxPort`", { maxPort: Number.NaN }],
    ["`minPort`", { minPort: 2, maxPort: 1 }],
    ["`minPort`", { minPort: 30_000 }],
    ["`protocolVersions`", { protocolVersions: [] }],
    ["`protocolVersions`", { protocolVersions: [1, -1] }],
    ["`protocolVersions`", { protocolVersions: [1.5] }],
    ["`protocolVersions`", { protocolVersions: [1n] }],
    ["`protocolVersions`", { protocolVersions: "5" }],
    ["`clientCertificatePem`", { clientCertificatePem: "a\0" }],
    ["`unixSocketGroup`", { unixSocketGroup: "a\0" }],
  ])("%s is refused in %o", (name, wrong) => {
    const make = () => pluginEnvironment({ ...cookie, ...wrong } as PluginEnvironmentOptions);
    expect(make).toThrow(
      expect.objectContaining({
        code: "bad-options",
        message: expect.stringMatching(`^\\[bad-options\\] ${name} must`),
      }),
    );
  });

  test("is refused without quoting the value of the cookie", () => {
    const make = () => pluginEnvironment({ ...cookie, magicCookieValue: "open\0sesame" });
    expect(make).not.toThrow(/sesame/);
  });
});

test("all of go-plugin's own variables are known, and the list cannot be changed", () => {
  expect([...PLUGIN_VARIABLES]).toEqual([
    "PLUGIN_MIN_PORT",
    "PLUGIN_MAX_PORT",
    "PLUGIN_PROTOCOL_VERSIONS",
    "PLUGIN_MULTIPLEX_GRPC",
    "PLUGIN_CLIENT_CERT",
    "PLUGIN_UNIX_SOCKET_GROUP",
    "PLUGIN_UNIX_SOCKET_DIR",
  ]);
  expect(Object.isFrozen(PLUGIN_VARIABLES)).toBe(true);
});
