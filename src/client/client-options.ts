import type { Writable } from "node:stream";
import type { ReattachConfig } from "../contract/reattach.ts";
import type { ReattachFunc, Runner } from "../contract/runner.ts";
import type { SecureConfig } from "../contract/secure-config.ts";
import type { OwnTls } from "../dial/secure.ts";
import type { PluginProtocol } from "../handshake/handshake-line.ts";
import type { Logger } from "./log/logger.ts";
import type { PluginSet, VersionedPlugins } from "./plugin-set.ts";

/** What host and plugin must agree on. Same as go-plugin's `HandshakeConfig`. */
export interface HandshakeConfig {
  /**
   * The version of the application's protocol that `plugins` belongs to (`ProtocolVersion`). May be left out where
   * `versionedPlugins` says it all.
   */
  protocolVersion?: number;
  /** The variable that tells the plugin that a host started it (`MagicCookieKey`). */
  magicCookieKey: string;
  /** Its value (`MagicCookieValue`). Not a secret. */
  magicCookieValue: string;
}

/** What a {@link RunnerFunc} must take into account. */
export interface RunnerSpec {
  /** go-plugin's variables, which the plugin must be given. */
  readonly environment: Record<string, string>;
  /** The group that may enter the plugin's private directory; absent unless `unixSocketConfig` names one. */
  readonly unixSocketGroup?: string;
}

/** Makes the runner for one start of the plugin. Same as go-plugin's `ClientConfig.RunnerFunc`. */
export type RunnerFunc = (spec: RunnerSpec) => Runner | Promise<Runner>;

/** Who may use unix sockets, and where this side's are. Same as go-plugin's `UnixSocketConfig`. */
export interface UnixSocketConfig {
  /** Name or number of a group, on the plugin's machine, that may connect to the plugin's sockets. */
  group?: string;
  /** Where the private directory for this side's sockets is made. @default the temporary directory */
  tempDir?: string;
}

/** Settings of a {@link Client}; some exclude each other. Same as go-plugin's `ClientConfig`. */
export type ClientOptions<
  Plugins extends PluginSet = PluginSet,
  Versioned extends VersionedPlugins = VersionedPlugins,
> = CommonOptions<Plugins, Versioned> & (StartedPlugin | RunningPlugin) & Protection;

/** A plugin that this client starts. */
interface StartedPlugin {
  runnerFunc: RunnerFunc;
  /**
   * What the plugin's file must contain: it is hashed on the plugin's side, right before the start. The runner must be
   * able to. Same as go-plugin's `SecureConfig`.
   */
  secureConfig?: SecureConfig;
  /**
   * Carries what the broker connects inside the one connection, so that no further forwards are needed. Needs
   * go-plugin 1.6 in the plugin, which is refused without. Same as go-plugin's `GRPCBrokerMultiplex`.
   * @default false
   */
  grpcBrokerMultiplex?: boolean;
  reattach?: never;
  reattachFunc?: never;
}

/** A plugin that runs already. */
interface RunningPlugin {
  /** Where it is: what {@link Client.reattachConfig} gave, also by way of JSON. */
  reattach: ReattachConfig;
  /** How to get hold of it. By default it is a process of this machine, by its pid and start time. */
  reattachFunc?: ReattachFunc;
  autoMtls?: false;
  runnerFunc?: never;
  secureConfig?: never;
  grpcBrokerMultiplex?: never;
}

/** How the connection to the plugin is protected. */
type Protection = AutoMtls | GivenTls;

interface AutoMtls {
  /**
   * Protects the connection with certificates made for this start. go-plugin servers since v1.2 know it. Same as
   * go-plugin's `ClientConfig.AutoMTLS`, but on unless it is turned off.
   * @default true
   */
  autoMtls?: boolean;
  tls?: never;
}

interface GivenTls {
  /** Certificates of your own, which the plugin has been given by other means. Same as go-plugin's `TLSConfig`. */
  tls: OwnTls;
  autoMtls?: false;
}

interface CommonOptions<Plugins extends PluginSet, Versioned extends VersionedPlugins> {
  handshakeConfig: HandshakeConfig;
  /**
   * What {@link Client.dispense} gives, if `handshakeConfig.protocolVersion` is negotiated. Not needed by those who
   * use {@link Client.transport} alone.
   */
  plugins?: Plugins;
  /** The same for each version that the host speaks; the plugin chooses the newest it knows. */
  versionedPlugins?: Versioned;
  /**
   * What the plugin may speak. A plugin that speaks `netrpc` is refused in any case; allowing it changes the words.
   * Same as go-plugin's `AllowedProtocols`.
   * @default ["grpc"]
   */
  allowedProtocols?: readonly PluginProtocol[];
  /** The ports that a plugin without unix sockets may choose from. @default 10_000 */
  minPort?: number;
  /** @default 25_000 */
  maxPort?: number;
  unixSocketConfig?: UnixSocketConfig;
  /**
   * How long the runner may take to start the plugin, and the plugin then to say where it listens and to be reached.
   * Same as go-plugin's `StartTimeout`.
   * @default 60_000
   */
  startTimeoutMs?: number;
  /** How long a plugin that was asked to shut down may take, before it is ended. @default 2_000 */
  shutdownTimeoutMs?: number;
  /** How long a health check may take. @default 5_000 */
  pingTimeoutMs?: number;
  /** Lets `cleanupClients`, and the signals that end this process, end the plugin. Same as `Managed`. @default false */
  managed?: boolean;
  /**
   * Gets the plugin's log, line by line with levels, and a little of our own.
   * @default a logger for the `debug` package, `go-plugin-ssh:plugin`
   */
  logger?: Logger;
  /** How long a line of the plugin's log may be, in bytes, before it comes in pieces. @default 65_536 */
  pluginLogBufferSize?: number;
  /** Gets the bytes of the plugin's stderr, its log, unchanged. @default they are thrown away */
  stderr?: Writable;
  /** Gets what the plugin's code prints to `os.Stdout` once it serves. @default it is thrown away */
  syncStdout?: Writable;
  /** Gets what the plugin's code prints to `os.Stderr` once it serves. @default it is thrown away */
  syncStderr?: Writable;
}
