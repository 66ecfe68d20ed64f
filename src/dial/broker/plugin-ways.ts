import type { Duplex } from "node:stream";
import { parseAddress } from "../../contract/address.ts";
import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import type { ConnInfo } from "../gen/plugin_pb.ts";
import { openPluginStream } from "../open-plugin-stream.ts";
import { secure } from "../secure.ts";
import { Announcements } from "./announcements.ts";
import type { BrokerOptions } from "./broker-options.ts";
import type { ConnInfoStream } from "./conn-info-stream.ts";
import { KnockingDialer } from "./knocking-dialer.ts";

/** How long it may take until a connection to a listener of the plugin's can be used. */
const CONNECT_MS = 20_000;

/** Makes connections to one listener of the plugin's, as many as are asked for, one after the other. */
export type Open = (signal: AbortSignal) => Promise<Duplex>;

/** How the host gets to the listeners of the plugin. */
export class PluginWays {
  readonly #options: BrokerOptions;
  readonly #over: AbortSignal;
  readonly #announcements = new Announcements();
  readonly #dialer: KnockingDialer | undefined;
  readonly #keep: (stream: Duplex) => void;

  /** @param keep sees each stream that is opened, bare and with TLS */
  constructor(options: BrokerOptions, stream: ConnInfoStream, keep: (stream: Duplex) => void) {
    this.#options = options;
    this.#over = stream.over;
    this.#keep = keep;
    const { multiplexer } = options;
    if (multiplexer) this.#dialer = new KnockingDialer(multiplexer, stream, this.#announcements);
    this.#over.addEventListener("abort", () => this.#announcements.clear(), { once: true });
  }

  /** Takes what the plugin says of one of its listeners. */
  hear(info: ConnInfo): void {
    if (this.#dialer) this.#dialer.answer(info);
    else this.#announcements.offer(info);
  }

  /**
   * How to connect to the plugin's `id`: what it gives resolves with a stream whose other end has proved to be the
   * plugin. Without multiplexing it waits up to 5 s for the plugin to say where.
   *
   * @throws {PluginError} `timeout`; `handshake-failed` for an address of no known kind; the reason of the end
   */
  async find(id: number, signal: AbortSignal | undefined): Promise<Open> {
    const dialer = this.#dialer;
    const open: Open = dialer ? (over) => dialer.dial(id, over) : await this.#announced(id, signal);
    const { tls } = this.#options;
    return (signal) => {
      const secured = async (over: AbortSignal) => {
        const stream = await open(over);
        this.#keep(stream);
        if (!tls) return stream;
        const secret = await secure(stream, tls, over);
        this.#keep(secret);
        return secret;
      };
      const onTimeout = () => new PluginError("timeout", `The plugin's id ${id} did not answer in ${CONNECT_MS} ms.`);
      const limits = { signal, timeoutMs: CONNECT_MS, onTimeout, until: [this.#over] };
      return within<Duplex>(limits, secured, (late) => late.destroy());
    };
  }

  async #announced(id: number, signal: AbortSignal | undefined): Promise<Open> {
    const onTimeout = () => {
      return new PluginError("timeout", "timeout waiting for connection info", {
        hint: `The plugin did not say where its id ${id} is: it does not accept it, or the host asked too late.`,
      });
    };
    const { network, address } = await this.#announcements.take(id, { signal, until: [this.#over], onTimeout });
    const plugin = parseAddress(network, address);
    return (over) => openPluginStream(this.#options.translator, plugin, over);
  }
}
