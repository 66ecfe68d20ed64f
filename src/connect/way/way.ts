import type { Duplex } from "node:stream";
import type { PluginError } from "../../contract/errors.ts";

/** How the bytes of one connection get to the server and back: a socket, a command's pipes, or a jump host. */
export interface Way {
  readonly stream: Duplex;
  /** Aborts when what carries the stream is lost; the reason is the error for whoever uses it. */
  readonly broken?: AbortSignal;
  /** Keeps the process alive for it, or lets the process end although it is open. */
  hold(keepAlive: boolean): void;
  /** What the way knows about a failure of the connection over it, added to the failure. */
  explain(failure: PluginError): PluginError;
  /** Ends it, and all that was opened for it. May be called often; resolves when it is gone, and never rejects. */
  close(): Promise<void>;
}
