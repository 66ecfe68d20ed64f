export {
  type ExplainedSetting,
  type ExplainedSettings,
  explainSettings,
  type SettingSource,
} from "./connect/config/explain-settings.ts";
export { connect } from "./connect/connect.ts";
export type { ConnectOptions, HostKeyPrompt, KeyboardInteractivePrompt } from "./connect/connect-options.ts";
export { type Destination, type DestinationParts, readDestination } from "./connect/destination.ts";
export type { BoxStats, ConnectionStats, PoolStats } from "./connect/pool/pool-stats.ts";
export { ConnectionPool, type ConnectionPoolOptions, type Lease } from "./connect/pool.ts";
// For those who write a runner or a host of their own.
export { type Address, formatAddress, parseAddress, type TcpAddress, type UnixAddress } from "./contract/address.ts";
export type { Connection, ExecChannel, Listener, SpareSessions } from "./contract/connection.ts";
export { PluginError, type PluginErrorCode, type PluginErrorDetails } from "./contract/errors.ts";
export { parseReattachConfig, type ReattachConfig } from "./contract/reattach.ts";
export type {
  AddrTranslator,
  AttachedRunner,
  ExitStatus,
  PluginProcess,
  ReattachFunc,
  Runner,
} from "./contract/runner.ts";
export type { HashName, SecureConfig } from "./contract/secure-config.ts";
export type { RelayMode } from "./runner/box-streams.ts";
export { LocalRunner, type LocalRunnerOptions } from "./runner/local-runner.ts";
export type { PluginOptions } from "./runner/plugin-options.ts";
export {
  type ConnectionSource,
  type ForwardOptions,
  type SpareOptions,
  SshRunner,
  type SshRunnerOptions,
} from "./runner/ssh-runner.ts";
