import { PluginError } from "../../contract/errors.ts";
import { INITIAL_WINDOW_BYTES, UINT32_MAX } from "./frame.ts";

/** How a {@link YamuxSession} behaves. Defaults are those of go-plugin's yamux (`DefaultConfig` in `mux.go`), unless said. */
export interface YamuxOptions {
  /** Which side of the connection this is. Hosts are clients, plugins are servers. */
  side: "client" | "server";
  /**
   * How often the other side is asked whether it is there, in milliseconds; 0: never.
   * @default 30_000
   */
  keepAliveIntervalMs?: number | undefined;
  /**
   * How long nothing at all may come after such a question, in milliseconds, before the session is over. Go insists on
   * the answer itself, which may be stuck behind a lot of data on a slow link.
   * @default 10_000
   */
  keepAliveTimeoutMs?: number | undefined;
  /**
   * How many streams of the other side may wait for {@link YamuxSession.accept}; more are reset. As with Go, as many of
   * our own streams may wait to be accepted over there; what is opened beyond that is announced when there is room.
   * @default 256
   */
  acceptBacklog?: number | undefined;
  /**
   * How long the other side may take to accept a stream, in milliseconds; 0: for ever. Then the stream fails with
   * `timeout`. Go ends the whole session, which the other streams have not deserved: whether the link is alive is what
   * keep-alive is for.
   * @default 75_000
   */
  openTimeoutMs?: number | undefined;
  /**
   * How long nothing may come on a stream that we have ended and the other side has not, in milliseconds; 0: for ever.
   * Then it is reset. Go counts from the end, whatever comes.
   * @default 300_000
   */
  streamCloseTimeoutMs?: number | undefined;
  /**
   * How much may be on its way to a reader, or unread, for each stream, in bytes. 262,144 is where the protocol begins
   * and Go stays; more is granted as soon as the stream begins.
   *
   * It limits a stream to so much in each round trip: 1 MiB is 10 MB/s at 100 ms. Much more would do harm: Go sends as
   * much as it may in one frame, and gives up if that takes longer than 10 s.
   * @default 1_048_576
   */
  receiveWindowBytes?: number | undefined;
}

/** Every option with its value. */
export type YamuxSettings = { readonly [Key in keyof Required<YamuxOptions>]: Exclude<YamuxOptions[Key], undefined> };

const DEFAULTS = {
  keepAliveIntervalMs: 30_000,
  keepAliveTimeoutMs: 10_000,
  acceptBacklog: 256,
  openTimeoutMs: 75_000,
  streamCloseTimeoutMs: 5 * 60_000,
  receiveWindowBytes: 1024 * 1024,
};

/** The smallest and the largest value of each. Node's timers end at 2^31 - 1. */
const LIMITS: Record<keyof typeof DEFAULTS, readonly [least: number, most: number]> = {
  keepAliveIntervalMs: [0, 0x7fff_ffff],
  keepAliveTimeoutMs: [1, 0x7fff_ffff],
  acceptBacklog: [1, UINT32_MAX],
  openTimeoutMs: [0, 0x7fff_ffff],
  streamCloseTimeoutMs: [0, 0x7fff_ffff],
  receiveWindowBytes: [INITIAL_WINDOW_BYTES, UINT32_MAX],
};

/**
 * Puts in the defaults.
 *
 * @throws {PluginError} `bad-options` for a value that cannot be used
 */
export function yamuxSettings(options: YamuxOptions): YamuxSettings {
  const { side } = options;
  if (side !== "client" && side !== "server") {
    throw new PluginError("bad-options", `\`side\` must be "client" or "server", not ${JSON.stringify(side)}.`);
  }
  const settings = { ...DEFAULTS };
  for (const name of Object.keys(DEFAULTS) as (keyof typeof DEFAULTS)[]) {
    const value = options[name] ?? DEFAULTS[name];
    const [least, most] = LIMITS[name];
    if (!Number.isInteger(value) || value < least || value > most) {
      throw new PluginError(
        "bad-options",
        `\`${name}\` must be a whole number from ${least} to ${most}, not ${JSON.stringify(value)}.`,
      );
    }
    settings[name] = value;
  }
  return { side, ...settings };
}
