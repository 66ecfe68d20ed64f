export { Client } from "./client/client.ts";
export type { ClientOptions, HandshakeConfig } from "./client/client-options.ts";
export type { GrpcTarget } from "./client/grpc-target.ts";
export { type AttachProcessOptions, attachProcess } from "./client/reattach/attach-process.ts";
