import { inspect } from "node:util";
import { PluginError } from "../contract/errors.ts";

/** What the host tells a plugin through its environment. */
export interface PluginEnvironmentOptions {
  /** The name of the variable that tells the plugin that it was started by a host and not by a person. */
  magicCookieKey: string;
  /** Its value. Not a secret. */
  magicCookieValue: string;
  /** Where a plugin that listens on TCP (on Windows) begins to look for a free port. @default 10_000 */
  minPort?: number | undefined;
  /** The last port it tries. @default 25_000 */
  maxPort?: number | undefined;
  /** The versions of the application's own protocol that the host speaks. */
  protocolVersions: readonly number[];
  /** Asks for a multiplexed gRPC broker. @default false */
  multiplex?: boolean | undefined;
  /** The host's certificate, for AutoMTLS. Without it the plugin serves without TLS. */
  clientCertificatePem?: string | undefined;
  /** Name or number of the group, on the box, that may connect to the plugin's unix sockets. @default none */
  unixSocketGroup?: string | undefined;
}

/**
 * The names that go-plugin gives a meaning to, besides the cookie. They must be removed from an environment that is
 * passed on: a host that is a plugin itself has inherited some, and a foreign `PLUGIN_CLIENT_CERT`, for example, makes
 * the plugin demand a certificate that nobody has.
 */
export const PLUGIN_VARIABLES: readonly string[] = Object.freeze([
  "PLUGIN_MIN_PORT",
  "PLUGIN_MAX_PORT",
  "PLUGIN_PROTOCOL_VERSIONS",
  "PLUGIN_MULTIPLEX_GRPC",
  "PLUGIN_CLIENT_CERT",
  "PLUGIN_UNIX_SOCKET_GROUP",
  "PLUGIN_UNIX_SOCKET_DIR",
]);

/**
 * The variables that a plugin is started with, in go-plugin's order: a shim finds the cookie by its place, right before
 * `PLUGIN_MIN_PORT`. The socket's directory is left to the runner, which alone knows the plugin's side.
 *
 * @throws {PluginError} `bad-options`
 */
export function pluginEnvironment(options: PluginEnvironmentOptions): Record<string, string> {
  const { magicCookieKey, magicCookieValue, minPort = 10_000, maxPort = 25_000, protocolVersions } = options;
  const { multiplex = false, clientCertificatePem = "", unixSocketGroup = "" } = options;
  checkCookie(magicCookieKey, magicCookieValue);
  checkPorts(minPort, maxPort);
  checkVersions(protocolVersions);
  checkText("clientCertificatePem", clientCertificatePem);
  checkText("unixSocketGroup", unixSocketGroup);
  return {
    [magicCookieKey]: magicCookieValue,
    PLUGIN_MIN_PORT: String(minPort),
    PLUGIN_MAX_PORT: String(maxPort),
    PLUGIN_PROTOCOL_VERSIONS: protocolVersions.join(","),
    ...(multiplex && { PLUGIN_MULTIPLEX_GRPC: "true" }),
    ...(clientCertificatePem && { PLUGIN_CLIENT_CERT: clientCertificatePem }),
    ...(unixSocketGroup && { PLUGIN_UNIX_SOCKET_GROUP: unixSocketGroup }),
  };
}

/** Refuses what cannot be the name and the value of a cookie. */
function checkCookie(magicCookieKey: string, magicCookieValue: string): void {
  if (typeof magicCookieKey !== "string" || !/^[A-Za-z_][A-Za-z0-9_]*$/.test(magicCookieKey)) {
    throw refused("magicCookieKey", "the name of an environment variable (letters, digits and _)", magicCookieKey);
  }
  if (PLUGIN_VARIABLES.includes(magicCookieKey)) {
    throw refused("magicCookieKey", "a name that go-plugin does not use itself", magicCookieKey);
  }
  checkText("magicCookieValue", magicCookieValue);
  if (magicCookieValue === "") throw refused("magicCookieValue", "a text that is not empty", magicCookieValue);
}

/** Refuses what is no range of ports. Port 0 leaves the choice to the plugin's system. */
function checkPorts(minPort: number, maxPort: number): void {
  for (const [name, port] of Object.entries({ minPort, maxPort })) {
    if (!Number.isInteger(port) || port < 0 || port > 65_535) throw refused(name, "a port from 0 to 65535", port);
  }
  if (minPort > maxPort) throw refused("minPort", `no more than \`maxPort\` (${maxPort})`, minPort);
}

/** Refuses what is no list of versions: with an empty one, every plugin would be refused later. */
function checkVersions(protocolVersions: readonly number[]): void {
  const usable = (version: unknown) => Number.isSafeInteger(version) && Number(version) >= 0;
  if (!Array.isArray(protocolVersions) || protocolVersions.length === 0 || !protocolVersions.every(usable)) {
    throw refused("protocolVersions", "a list of one or more integers, none of them negative", protocolVersions);
  }
}

/** Refuses what cannot be the value of a variable, without quoting it. */
function checkText(name: string, value: unknown): void {
  if (typeof value !== "string") throw new PluginError("bad-options", `\`${name}\` must be a text.`);
  if (value.includes("\0")) throw new PluginError("bad-options", `\`${name}\` must not contain a NUL character.`);
}

/** The error for an option that is not what was `wanted`. */
function refused(name: string, wanted: string, value: unknown): PluginError {
  return new PluginError("bad-options", `\`${name}\` must be ${wanted}, not ${inspect(value)}.`);
}
