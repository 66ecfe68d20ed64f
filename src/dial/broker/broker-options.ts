import type { Transport } from "@connectrpc/connect";
import type { Reaches } from "../open-plugin-stream.ts";
import type { PluginTls } from "../secure.ts";
import type { Multiplexer } from "./multiplexer.ts";

/** What a `GrpcBroker` needs. */
export interface BrokerOptions {
  /** The main connection to the plugin. */
  transport: Transport;
  /** Protects every brokered connection, in both directions; as for the main connection. */
  tls: PluginTls | undefined;
  /** Knows the ways between the host's side and the plugin's side: the runner. */
  translator: Reaches;
  /** The one connection that carries everything, if the plugin agreed to multiplexing. */
  multiplexer?: Multiplexer | undefined;
  /** A private directory on the host's side for the sockets that the plugin connects to. The caller removes it. */
  socketDirectory: () => Promise<string>;
}
