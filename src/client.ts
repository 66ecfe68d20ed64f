export { Client } from "./client/client.ts";
export type {
  ClientOptions,
  HandshakeConfig,
  RunnerFunc,
  RunnerSpec,
  UnixSocketConfig,
} from "./client/client-options.ts";
export type { ExitReason } from "./client/exit-reason.ts";
export type { GrpcTarget } from "./client/grpc-target.ts";
export { type ConsoleLoggerOptions, consoleLogger } from "./client/log/console-logger.ts";
export { debugLogger } from "./client/log/debug-logger.ts";
export { type LogFields, type Logger, type LogLevel, nullLogger } from "./client/log/logger.ts";
export { cleanupClients } from "./client/managed-clients.ts";
export type { GrpcPlugin, GrpcPluginContext, PluginSet, VersionedPlugins } from "./client/plugin-set.ts";
export { type AttachProcessOptions, attachProcess } from "./client/reattach/attach-process.ts";
export type { BrokerConnection } from "./dial/broker/broker-connection.ts";
export type { BrokerListener } from "./dial/broker/broker-listener.ts";
export type { BrokerServer } from "./dial/broker/broker-server.ts";
export type { GrpcBroker } from "./dial/broker/grpc-broker.ts";
export type { OwnTls } from "./dial/plugin-tls.ts";
