import type { Duplex } from "node:stream";
import { ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { Health, HealthCheckResponse_ServingStatus } from "./gen/health_pb.ts";
import { GRPCController } from "./gen/plugin_pb.ts";
import { grpcTransport } from "./grpc-transport.ts";
import { Http2Link } from "./http2-link.ts";
import { linkOptions } from "./link-options.ts";
import { authorityOf } from "./plugin-tls.ts";
import { type PluginTls, secure } from "./secure.ts";

/** go-plugin's name for the whole plugin in the health service. */
const HEALTH_SERVICE = "plugin";

/** How to reach a plugin. */
export interface PluginChannelOptions {
  /** Makes a connection to the plugin's address. */
  open: (signal: AbortSignal) => Promise<Duplex>;
  /** For a plugin that answered AutoMTLS, or that serves TLS of its own; without it, gRPC is spoken in plaintext. */
  tls: PluginTls | undefined;
}

/** A gRPC connection to one plugin. */
export class PluginChannel {
  /** For the clients of any service of the plugin's. Message sizes are not limited. */
  readonly transport: Transport;
  readonly #link: Http2Link;
  /** For what ends the connection, and needs no explanation then. */
  readonly #bare: Transport;

  constructor({ open, tls }: PluginChannelOptions) {
    const openSecured = async (signal: AbortSignal) => {
      const stream = await open(signal);
      return tls ? secure(stream, tls, signal) : stream;
    };
    this.#link = new Http2Link(authorityOf(tls), openSecured, linkOptions(tls));
    this.transport = grpcTransport(this.#link);
    this.#bare = createGrpcTransport({ baseUrl: this.#link.authority, sessionManager: this.#link });
  }

  /**
   * When it resolves, the plugin has been reached and has proved to be the right one. Whether it takes our certificate
   * is known by then if the certificates are the caller's own; with AutoMTLS the first calls fail with
   * `handshake-failed` if it does not.
   *
   * @throws {PluginError} what opening the stream threw; `handshake-failed`; `connection-lost` if the plugin leaves
   */
  async connect(signal: AbortSignal): Promise<void> {
    await within({ signal }, () => this.#link.connect());
  }

  /**
   * Asks the plugin whether it serves. Same as go-plugin's `ClientProtocol.Ping`, with a deadline.
   *
   * @throws {PluginError} `plugin-exited`, with the cause, if it does not say yes in time; `handshake-failed` if it
   *   refuses our certificate
   */
  async ping({ signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs: number }): Promise<void> {
    const health = createClient(Health, this.transport);
    const limits = { signal, timeoutMs, onTimeout: () => notServing(`no answer within ${timeoutMs} ms`) };
    const { status } = await within(limits, (over) =>
      health.check({ service: HEALTH_SERVICE }, { signal: over }),
    ).catch((failure) => {
      if (failure instanceof PluginError) throw failure;
      const { cause } = ConnectError.from(failure);
      throw cause instanceof PluginError && cause.code === "handshake-failed"
        ? cause
        : notServing(failure.message, failure);
    });
    if (status !== HealthCheckResponse_ServingStatus.SERVING) throw notServing(`its status is ${status}`);
  }

  /**
   * Asks the plugin to shut down. Resolves with whether it was reached: go-plugin servers end without an answer, and
   * that counts. Never rejects.
   */
  async shutdown(timeoutMs: number): Promise<boolean> {
    const controller = createClient(GRPCController, this.#bare);
    const answer = within({ timeoutMs }, (over) => controller.shutdown({}, { signal: over }));
    return answer.then(
      () => true,
      (failure) => !(failure instanceof PluginError && failure.code === "timeout"),
    );
  }

  /** Ends the connection. Calls that are under way fail. */
  close(reason: PluginError): void {
    this.#link.close(reason);
  }
}

function notServing(why: string, cause?: unknown): PluginError {
  return new PluginError("plugin-exited", `The plugin does not serve: ${why}.`, { cause });
}
