import type { Duplex } from "node:stream";
import createDebug from "debug";
import { type Address, formatAddress, parseAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { within } from "../lifetime/deadline.ts";
import { join } from "../lifetime/join.ts";
import type { RewriteMessage } from "./broker-lane.ts";
import { readConnInfo } from "./conn-info.ts";
import { END_STREAM, type FrameHeader } from "./frames.ts";
import { Lane } from "./lane.ts";
import { RequestPaths } from "./request-paths.ts";

const debug = createDebug("go-plugin-ssh:carry");

const BROKER_PATH = "/plugin.GRPCBroker/StartStream";

/** How long go-plugin waits for an announcement. One that comes later helps nobody. */
const REWRITE_MS = 5_000;

/** Where the other side reaches what one side has announced. */
export type Rewrite = (address: Address, signal: AbortSignal) => Promise<Address>;

/** How two sides are spliced. */
export interface SpliceOptions {
  /** For listeners that the side announces which has connected: where the server reaches them. */
  readonly fromClient: Rewrite;
  /** For listeners that the server announces. */
  readonly fromServer: Rewrite;
  /**
   * What to do if the client does not speak HTTP/2: `pass` everything unread, or end the connection.
   * @default "end"
   */
  readonly foreign?: "pass" | "end" | undefined;
  /** Told what went wrong without ending the connection. */
  readonly onWarning?: ((text: string) => void) | undefined;
  /** Called once when both are destroyed, with the failure if there was one. */
  readonly onEnd?: ((failure?: Error) => void) | undefined;
}

/**
 * Joins two ends of an HTTP/2 connection, and changes nothing but the addresses that go-plugin's brokers tell each other.
 *
 * Frames pass as they come, also PING, GOAWAY, SETTINGS and those of kinds that nobody knows; neither side can tell that
 * something is between. The requests' headers are read along to find the broker's stream. In that one the messages are
 * taken out and written anew, and the windows are corrected by what they got longer or shorter. Back-pressure passes through;
 * what is kept is a frame at most, and announcements that are being rewritten.
 *
 * An announcement that cannot be rewritten goes on as one of a network that does not exist, with the reason as its
 * address, so that whoever dials it is told at once.
 *
 * @param client the side that has connected, usually the host
 * @param server the side that was connected to, usually the plugin
 */
export function splice(client: Duplex, server: Duplex, options: SpliceOptions): void {
  const lanes: { toServer?: Lane; toClient?: Lane } = {};
  const ending = new AbortController();
  const warn = (text: string) => {
    debug("%s", text);
    options.onWarning?.(text);
  };
  const onForeign = () => {
    if (options.foreign !== "pass") throw new PluginError("connection-lost", "What came is not HTTP/2.");
    warn("What came is not HTTP/2, so it passes unread: addresses that a broker tells will not be translated.");
    lanes.toServer?.giveUp();
    lanes.toClient?.giveUp();
  };
  const meet = () => {
    const { toServer, toClient } = lanes;
    if (!toServer || !toClient) return;
    toServer.opposite = toClient;
    toClient.opposite = toServer;
  };
  const onPath = (path: string, { id, flags }: FrameHeader) => {
    if (path !== BROKER_PATH || !lanes.toServer || !lanes.toClient) return;
    const toServer = lanes.toServer.openBroker(id, rewriter(options.fromClient, warn));
    lanes.toClient.openBroker(id, rewriter(options.fromServer, warn));
    if (flags & END_STREAM) toServer.abandon();
  };
  const onEnd = (failure?: Error) => {
    ending.abort(new PluginError("closed", "The connection has ended."));
    for (const lane of [lanes.toServer, lanes.toClient])
      for (const id of [...(lane?.brokers.keys() ?? [])]) lane?.abandon(id);
    if (failure) debug("spliced connection: %s", failure.message);
    options.onEnd?.(failure);
  };
  join(client, server, onEnd, {
    toRight: (write) => {
      const lane = new Lane({ write, onForeign, requests: new RequestPaths(onPath) });
      lanes.toServer = lane;
      meet();
      return (chunk) => lane.take(chunk);
    },
    toLeft: (write) => {
      const lane = new Lane({ write, onForeign });
      lanes.toClient = lane;
      meet();
      return (chunk) => lane.take(chunk);
    },
  });
}

function rewriter(rewrite: Rewrite, warn: (text: string) => void): RewriteMessage {
  return (message, signal) => {
    const info = readConnInfo(message);
    if (!info) warn("A message on the broker's stream is no announcement, so it passes as it is.");
    if (!info?.whereabouts) return message;
    const { network, address } = info.whereabouts;
    const translate = async (over: AbortSignal) => {
      const translated = await rewrite(parseAddress(network, address), over);
      return info.with({ network: translated.network, address: formatAddress(translated) });
    };
    const limits = { signal, timeoutMs: REWRITE_MS };
    return within(limits, translate).catch((failure: Error) => {
      if (signal.aborted) return message;
      warn(`The listener at ${address} cannot be reached from the other side: ${failure.message}`);
      return info.with({
        network: "unreachable",
        address: `${address}, because go-plugin-ssh says: ${failure.message}`,
      });
    });
  };
}
