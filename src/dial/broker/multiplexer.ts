import type { Duplex } from "node:stream";

/** One connection to the plugin that carries many streams, opened by either side. go-plugin's is yamux. */
export interface Multiplexer {
  /** Opens a stream to the plugin. */
  open(): Duplex;
  /** The next stream that the plugin opens. */
  accept(signal?: AbortSignal): Promise<Duplex>;
  /** Aborts when the connection is no more, with the reason. */
  readonly over: AbortSignal;
}
