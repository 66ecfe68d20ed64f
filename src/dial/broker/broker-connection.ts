import type { Transport } from "@connectrpc/connect";
import { PluginError } from "../../contract/errors.ts";
import { grpcTransport } from "../grpc-transport.ts";
import type { Http2Link } from "../http2-link.ts";

/** A connection to what the plugin serves under one id of the broker. */
export class BrokerConnection implements AsyncDisposable {
  /** The plugin's id. */
  readonly id: number;
  /** For the clients of the services there. Message sizes are not limited. */
  readonly transport: Transport;
  readonly #link: Http2Link;

  /** For the broker; everybody else gets connections from `GrpcBroker.dial`. */
  constructor(id: number, link: Http2Link) {
    this.id = id;
    this.#link = link;
    this.transport = grpcTransport(link);
  }

  /** Ends it; calls under way fail. May be called often. */
  close(): void {
    this.#link.close(new PluginError("closed", `The connection to the plugin's id ${this.id} was closed.`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
