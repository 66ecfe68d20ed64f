import type { Duplex } from "node:stream";
import { type Address, formatAddress, longestSocketPath } from "../contract/address.ts";
import type { Listener } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import { listenForPlugin } from "../dial/broker/listen-for-plugin.ts";
import { within } from "../lifetime/deadline.ts";
import { SharedAttempt } from "../lifetime/shared-attempt.ts";
import { whenSocketGone } from "../lifetime/when-socket-gone.ts";

/** So many of the plugin's listeners may be without connections before it is looked whether they are still there. */
const MOST_IDLE = 32;
const PROBE_MS = 10_000;
/** Far more than anybody needs at once, and less than a process may have open files. */
const MOST_FORWARDS = 4_096;

/** A listener of ours that stands for one of somebody else's. */
interface CarriedForward {
  /** Where the other side reaches it. */
  readonly address: Address;
  /** Stops listening. Connections go on. Never rejects. */
  close(): Promise<void>;
}

/** What forwards are made of. */
export interface ForwardMakers {
  /** The directory for listeners. */
  readonly directory: () => Promise<string>;
  /** What those for the host are; absent: what is usual here. */
  readonly hostNetwork: "unix" | "tcp" | undefined;
  /** Has the box listen for the plugin, and connects who arrives to an address on the host's side. */
  readonly hostToPlugin: (hostAddress: Address, signal: AbortSignal) => Promise<Address>;
  /** Connects to a listener of the plugin's. */
  readonly openPluginStream: (pluginAddress: Address, signal: AbortSignal) => Promise<Duplex>;
  /** Takes a connection of the host's to a listener of the plugin's. Resolves when it is over; never rejects. */
  readonly fromHost: (stream: Duplex, pluginAddress: Address) => Promise<void>;
  /**
   * Takes a connection of the plugin's to a listener of the host's, in the same way.
   *
   * @param onRefused called if nobody listens there any more
   */
  readonly fromPlugin: (stream: Duplex, hostAddress: Address, onRefused: () => void) => Promise<void>;
}

/**
 * The listeners that stand for those of the other side. One address has one, however often it is asked for. They go when
 * what they stand for has gone: for a host's unix socket that is when its file has, otherwise when a connection is refused.
 */
export class CarriedForwards {
  readonly #makers: ForwardMakers;
  readonly #forwards = new Map<string, SharedAttempt<CarriedForward>>();
  /** The plugin's listeners without connections, those for the longest time first. */
  readonly #idle = new Map<string, Address>();
  #isProbing = false;
  #closed = false;

  constructor(makers: ForwardMakers) {
    this.#makers = makers;
  }

  /** How many there are. */
  get size(): number {
    return this.#forwards.size;
  }

  /**
   * Where the host reaches a listener of the plugin's.
   *
   * @param isLasting whether it stays, used or not
   */
  toHost(plugin: Address, signal: AbortSignal, isLasting = false): Promise<Address> {
    const key = `plugin ${formatAddress(plugin)}`;
    return this.#remember(key, signal, async () => {
      const { directory, fromHost, hostNetwork } = this.#makers;
      let connections = 0;
      const rest = () => {
        if (isLasting || connections > 0 || !this.#forwards.has(key)) return;
        this.#idle.set(key, plugin);
        void this.#probe();
      };
      const arrived = (stream: Duplex) => {
        connections += 1;
        this.#idle.delete(key);
        void fromHost(stream, plugin).finally(() => {
          connections -= 1;
          rest();
        });
      };
      const { address, close } = await listenForPlugin(await directory(), arrived, hostNetwork);
      rest();
      return { address, close };
    });
  }

  /** Where the plugin reaches a listener of the host's. Its connections get through when it resolves. */
  async toPlugin(host: Address, signal: AbortSignal): Promise<Address> {
    const key = `host ${formatAddress(host)}`;
    checkLength(host);
    return this.#remember(key, signal, async (over) => {
      const { directory, hostToPlugin, fromPlugin } = this.#makers;
      let isGone = false;
      const drop = () => {
        isGone = true;
        void this.#drop(key);
      };
      const unwatch = host.network === "unix" ? whenSocketGone(host.path, drop) : () => {};
      let listener: Listener | undefined;
      const close = async () => {
        unwatch();
        await listener?.close();
      };
      try {
        listener = await listenForPlugin(await directory(), (stream) => void fromPlugin(stream, host, drop));
        const address = await hostToPlugin(listener.address, over);
        if (isGone) throw new PluginError("forward-failed", "The host listens there no more.");
        return { address, close };
      } catch (failure) {
        await close();
        throw failure;
      }
    });
  }

  /** Stops listening everywhere. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#forwards.keys()].map((key) => this.#drop(key)));
  }

  async #remember(
    key: string,
    signal: AbortSignal,
    make: (over: AbortSignal) => Promise<CarriedForward>,
  ): Promise<Address> {
    if (this.#closed) throw new PluginError("closed", "Nothing is carried any more.");
    let attempt = this.#forwards.get(key);
    if (!attempt?.usable) {
      const guarded = async (over: AbortSignal) => {
        const forward = await make(over);
        if (!this.#closed) return forward;
        await forward.close();
        throw new PluginError("closed", "Nothing is carried any more.");
      };
      if (this.#forwards.size >= MOST_FORWARDS) {
        throw new PluginError("forward-failed", `There are ${MOST_FORWARDS} of the brokers' listeners already.`, {
          hint: "Listeners that are of no use any more should be closed by whoever opened them.",
        });
      }
      attempt = new SharedAttempt(guarded, (late) => late.close());
      this.#forwards.set(key, attempt);
    }
    const mine = attempt;
    try {
      const { address } = await mine.join(signal);
      return address;
    } finally {
      if (!mine.usable && this.#forwards.get(key) === mine) this.#forwards.delete(key);
    }
  }

  async #drop(key: string): Promise<void> {
    const attempt = this.#forwards.get(key);
    this.#forwards.delete(key);
    this.#idle.delete(key);
    await attempt?.result?.close();
  }

  /**
   * Nobody tells when a listener of the plugin's has gone. When many are without connections, the one that has been for
   * the longest time is tried, one at a time.
   */
  async #probe(): Promise<void> {
    if (this.#isProbing || this.#closed) return;
    this.#isProbing = true;
    for (let left = this.#idle.size - MOST_IDLE; left > 0 && !this.#closed; left--) {
      const [key, plugin] = [...this.#idle.entries()][0] ?? [];
      if (key === undefined || plugin === undefined) break;
      const isThere = await this.#answers(plugin);
      if (!isThere) await this.#drop(key);
      // To the end of the queue.
      else if (this.#idle.delete(key)) this.#idle.set(key, plugin);
    }
    this.#isProbing = false;
  }

  async #answers(plugin: Address): Promise<boolean> {
    const open = (over: AbortSignal) => this.#makers.openPluginStream(plugin, over);
    try {
      const stream = await within({ timeoutMs: PROBE_MS }, open, (late) => late.destroy());
      stream.on("error", () => {}).destroy();
      return true;
    } catch (failure) {
      return !(failure instanceof PluginError && failure.code === "forward-failed");
    }
  }
}

/** Node 20 cuts off a longer path without a word, and connects to another file. */
function checkLength(host: Address): void {
  const limit = longestSocketPath(process.platform);
  if (host.network === "tcp" || Buffer.byteLength(host.path) <= limit) return;
  throw new PluginError("forward-failed", `The host's socket path ${JSON.stringify(host.path)} is too long.`, {
    hint: "Set TMPDIR, for the host, to a directory with a short name.",
  });
}
