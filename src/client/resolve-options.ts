import type { Writable } from "node:stream";
import { PluginError } from "../contract/errors.ts";
import { parseReattachConfig, type ReattachConfig } from "../contract/reattach.ts";
import type { ReattachFunc } from "../contract/runner.ts";
import { checkSecureConfig, type SecureConfig } from "../contract/secure-config.ts";
import type { OwnTls } from "../dial/secure.ts";
import type { PluginProtocol } from "../handshake/handshake-line.ts";
import type { ClientOptions, HandshakeConfig, RunnerFunc, UnixSocketConfig } from "./client-options.ts";
import { debugLogger } from "./log/debug-logger.ts";
import { guardedLogger } from "./log/guarded-logger.ts";
import type { Logger } from "./log/logger.ts";
import { type PluginSet, setsByVersion } from "./plugin-set.ts";

/** {@link ClientOptions} with the defaults filled in. */
export interface ResolvedClientOptions {
  readonly handshakeConfig: HandshakeConfig;
  readonly sets: ReadonlyMap<number, PluginSet>;
  /** Exactly one of the two is there. */
  readonly runnerFunc: RunnerFunc | undefined;
  readonly reattach: ReattachConfig | undefined;
  readonly reattachFunc: ReattachFunc | undefined;
  readonly secureConfig: SecureConfig | undefined;
  readonly grpcBrokerMultiplex: boolean;
  readonly autoMtls: boolean;
  readonly tls: OwnTls | undefined;
  readonly allowedProtocols: readonly PluginProtocol[];
  readonly minPort: number;
  readonly maxPort: number;
  readonly unixSocketConfig: UnixSocketConfig;
  readonly startTimeoutMs: number;
  readonly shutdownTimeoutMs: number;
  readonly pingTimeoutMs: number;
  readonly managed: boolean;
  readonly logger: Logger;
  readonly pluginLogBufferSize: number;
  readonly stderr: Writable | undefined;
  readonly syncStdout: Writable | undefined;
  readonly syncStderr: Writable | undefined;
}

const DEFAULTS = {
  allowedProtocols: ["grpc"] as const,
  grpcBrokerMultiplex: false,
  minPort: 10_000,
  maxPort: 25_000,
  startTimeoutMs: 60_000,
  shutdownTimeoutMs: 2_000,
  pingTimeoutMs: 5_000,
  managed: false,
  pluginLogBufferSize: 65_536,
  unixSocketConfig: {},
};

const NAMES = new Set([
  ...Object.keys(DEFAULTS),
  ...["handshakeConfig", "plugins", "versionedPlugins", "runnerFunc", "reattach", "reattachFunc", "secureConfig"],
  ...["autoMtls", "tls", "logger", "stderr", "syncStdout", "syncStderr"],
]);

const SWITCHES = ["autoMtls", "grpcBrokerMultiplex", "managed"] as const;

/**
 * Checks options and fills in the defaults. The values of the handshake are checked where its variables are made.
 *
 * @throws {PluginError} `bad-options`, with go-plugin's text where it has one
 */
export function resolveClientOptions(options: ClientOptions): ResolvedClientOptions {
  checkShapes(options);
  checkExclusions(options);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const { handshakeConfig, plugins, versionedPlugins, tls, reattach, secureConfig } = options;
  return {
    runnerFunc: undefined,
    reattachFunc: undefined,
    stderr: undefined,
    syncStdout: undefined,
    syncStderr: undefined,
    ...DEFAULTS,
    ...given,
    logger: guardedLogger(options.logger ?? debugLogger("go-plugin-ssh:plugin")),
    secureConfig: secureConfig && checkSecureConfig(secureConfig),
    handshakeConfig,
    tls,
    reattach: reattach && parseReattachConfig(reattach),
    autoMtls: options.autoMtls ?? !(tls || reattach),
    sets: setsByVersion(handshakeConfig.protocolVersion, plugins, versionedPlugins),
  };
}

/** Refuses what is not what it should be. */
function checkShapes(options: ClientOptions): void {
  for (const [name, value] of Object.entries(options)) {
    if (!NAMES.has(name)) refuse(`There is no option ${JSON.stringify(name)}.`);
    if (value === undefined) continue;
    const isPositive = typeof value === "number" && value > 0 && Number.isFinite(value);
    if (name.endsWith("Ms") && !isPositive) {
      refuse(`\`${name}\` must be a positive number of milliseconds, not ${JSON.stringify(value)}.`);
    }
    if (name === "pluginLogBufferSize" && !(isPositive && Number.isInteger(value) && value >= 16)) {
      refuse(`\`${name}\` must be a number of bytes, 16 at least, not ${JSON.stringify(value)}.`);
    }
  }
  for (const name of SWITCHES) {
    if (!["boolean", "undefined"].includes(typeof options[name])) refuse(`\`${name}\` must be true or false.`);
  }
  for (const name of ["runnerFunc", "reattachFunc"] as const) {
    if (!["function", "undefined"].includes(typeof options[name])) refuse(`\`${name}\` must be a function.`);
  }
  for (const name of ["handshakeConfig", "plugins", "versionedPlugins", "unixSocketConfig"] as const) {
    const value: unknown = options[name];
    if (name !== "handshakeConfig" && value === undefined) continue;
    if (typeof value !== "object" || value === null) refuse(`\`${name}\` must be an object.`);
  }
  const { allowedProtocols = [] } = options;
  if (!Array.isArray(allowedProtocols) || !allowedProtocols.every((one) => one === "grpc" || one === "netrpc")) {
    refuse('`allowedProtocols` must be a list of "grpc" and "netrpc".');
  }
}

/** Refuses settings that exclude each other; the types do the same, with less to say. */
function checkExclusions(options: ClientOptions): void {
  const { runnerFunc, reattach, secureConfig, grpcBrokerMultiplex, autoMtls, tls } = options as unknown as Record<
    string,
    unknown
  >;
  if ((runnerFunc === undefined) === (reattach === undefined)) {
    refuse(
      "exactly one of Cmd, or Reattach, or RunnerFunc must be set",
      "Give `runnerFunc`, which makes an SshRunner or a LocalRunner, or `reattach`.",
    );
  }
  if (reattach !== undefined) {
    if (secureConfig !== undefined) refuse("only one of Reattach or SecureConfig can be set");
    if (grpcBrokerMultiplex === true) refuse("gRPC broker multiplexing is not supported with Reattach config");
    if (autoMtls === true) {
      refuse(
        "`autoMtls` cannot be on with `reattach`: the certificates of a start are known to its own host alone.",
        "Start the plugin with `tls`, or without TLS, if another host shall take it over.",
      );
    }
  } else if (options.reattachFunc !== undefined) refuse("`reattachFunc` belongs to `reattach`.");
  if (tls !== undefined && autoMtls === true) refuse("Only one of `autoMtls` and `tls` can be on.");
}

function refuse(what: string, hint?: string): never {
  throw new PluginError("bad-options", what, { hint });
}
