import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import * as client from "../src/client.ts";
import * as index from "../src/index.ts";

/** What users can import. To add a name is a decision, and so is to take one away. */
const PUBLIC = {
  index: {
    values: [
      "ConnectionPool",
      "LocalRunner",
      "PluginError",
      "SshRunner",
      "connect",
      "explainSettings",
      "formatAddress",
      "parseAddress",
      "parseReattachConfig",
      "readDestination",
    ],
    types: [
      "AddrTranslator",
      "Address",
      "AttachedRunner",
      "BoxStats",
      "ConnectOptions",
      "Connection",
      "ConnectionPoolOptions",
      "ConnectionSource",
      "ConnectionStats",
      "Destination",
      "DestinationParts",
      "ExecChannel",
      "ExitStatus",
      "ExplainedSetting",
      "ExplainedSettings",
      "ForwardOptions",
      "HashName",
      "HostKeyPrompt",
      "KeyboardInteractivePrompt",
      "Lease",
      "Listener",
      "LocalRunnerOptions",
      "PluginErrorCode",
      "PluginErrorDetails",
      "PluginOptions",
      "PluginProcess",
      "PoolStats",
      "ReattachConfig",
      "ReattachFunc",
      "RelayMode",
      "Runner",
      "SecureConfig",
      "SettingSource",
      "SpareOptions",
      "SpareSessions",
      "SshRunnerOptions",
      "TcpAddress",
      "UnixAddress",
    ],
  },
  client: {
    values: ["Client", "attachProcess", "cleanupClients", "consoleLogger", "debugLogger", "nullLogger"],
    types: [
      "AttachProcessOptions",
      "BrokerConnection",
      "BrokerListener",
      "BrokerServer",
      "ClientOptions",
      "ConsoleLoggerOptions",
      "ExitReason",
      "GrpcBroker",
      "GrpcPlugin",
      "GrpcPluginContext",
      "GrpcTarget",
      "HandshakeConfig",
      "LogFields",
      "LogLevel",
      "Logger",
      "OwnTls",
      "PluginSet",
      "RunnerFunc",
      "RunnerSpec",
      "UnixSocketConfig",
      "VersionedPlugins",
    ],
  },
};

describe.each([
  ["index", index],
  ["client", client],
] as const)("src/%s.ts", (name, module) => {
  test("exports these values", () => {
    expect(Object.keys(module).sort()).toEqual(PUBLIC[name].values);
  });

  test("exports these types", () => {
    expect(typesOf(name)).toEqual(PUBLIC[name].types);
  });
});

/** The names that are exported as types. They vanish at run time, so the text is asked. */
function typesOf(name: string): string[] {
  const text = readFileSync(new URL(`../src/${name}.ts`, import.meta.url), "utf8");
  return [...text.matchAll(/^export (type )?\{([^}]*)\}/gm)]
    .flatMap(([, all, names = ""]) =>
      names
        .split(/,\s*/)
        .filter(Boolean)
        .map((one) => (all ? `type ${one.trim()}` : one.trim())),
    )
    .filter((one) => one.startsWith("type "))
    .map((one) => one.replace(/^type /, "").replace(/^.* as /, ""))
    .sort();
}
