import { setMaxListeners } from "node:events";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import createDebug from "debug";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { type ConnInfo, type ConnInfoSchema, GRPCBroker } from "../gen/plugin_pb.ts";
import { Outbox } from "./outbox.ts";

const debug = createDebug("go-plugin-ssh:broker");

/** How long the plugin may leave an announcement unread. */
const SEND_MS = 5_000;

/** The stream by which both sides tell each other where their listeners are: `/plugin.GRPCBroker/StartStream`. */
export class ConnInfoStream {
  readonly #transport: Transport;
  readonly #outbox = new Outbox<MessageInitShape<typeof ConnInfoSchema>>();
  readonly #over = new AbortController();
  readonly #onMessage: (info: ConnInfo) => void;
  #started = false;

  /** @param onMessage gets what the plugin announces; must not throw */
  constructor(transport: Transport, onMessage: (info: ConnInfo) => void) {
    this.#transport = transport;
    this.#onMessage = onMessage;
    setMaxListeners(0, this.#over.signal);
  }

  /** Aborts when nothing can be agreed on any more, with the reason, a `PluginError`. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Opens the stream, once. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.#run();
  }

  /**
   * Tells the plugin something. Resolves when it is on its way.
   *
   * @throws {PluginError} the reason of `over`; `timeout`; `aborted`
   */
  send(info: MessageInitShape<typeof ConnInfoSchema>, signal?: AbortSignal): Promise<void> {
    const onTimeout = () => {
      return new PluginError("timeout", `The plugin did not read what the broker announced within ${SEND_MS} ms.`);
    };
    return within({ signal, timeoutMs: SEND_MS, onTimeout, until: [this.over] }, (over) =>
      this.#outbox.put(info, over),
    );
  }

  /** Ends the stream, for `reason`. */
  close(reason: PluginError): void {
    if (this.over.aborted) return;
    debug("over: %s", reason.message);
    this.#outbox.end();
    this.#over.abort(reason);
  }

  async #run(): Promise<void> {
    try {
      const messages = createClient(GRPCBroker, this.#transport).startStream(this.#outbox, { signal: this.over });
      for await (const info of messages) this.#onMessage(info);
      this.close(new PluginError("closed", "broker closed: the plugin has ended its side."));
    } catch (failure) {
      this.close(explained(failure));
    }
  }
}

/** Why the stream failed, as an error of ours. */
function explained(failure: unknown): PluginError {
  const { cause, code, rawMessage } = ConnectError.from(failure);
  if (cause instanceof PluginError) return cause;
  if (code === Code.Unimplemented) {
    return new PluginError("unsupported", "The plugin has no broker.", {
      hint: "Plugins in other languages often leave out go-plugin's GRPCBroker service.",
      cause: failure,
    });
  }
  return new PluginError("closed", `broker closed: its stream to the plugin failed: ${rawMessage}.`, {
    cause: failure,
  });
}
