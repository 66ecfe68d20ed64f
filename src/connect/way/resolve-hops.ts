import type { ConnectOptions } from "../connect-options.ts";
import type { Destination, Target } from "../destination.ts";
import type { Settings } from "../settings.ts";
import { checkChain } from "./errand.ts";
import { hopsOf, listHops } from "./parse-hops.ts";

/** Decides about a jump host as about any box. */
type Resolve = (destination: Destination, options: ConnectOptions) => Promise<Settings>;

/**
 * What the configuration says about the jump hosts on the way, farthest first; nothing is connected to. Jump hosts that
 * go in a circle are refused: the system's `ssh` would start one `ssh` after the other until there is no room for more.
 *
 * @param towards the boxes that are to be reached through this one
 * @throws {PluginError} `config-error` naming the chain, or what `resolve` throws
 */
export async function resolveHops(
  settings: Settings,
  resolve: Resolve,
  towards: readonly Target[] = [],
): Promise<Settings[]> {
  const hops = hopsOf(settings);
  const [last] = hops.slice(-1);
  if (last === undefined) return [];
  const { configFile } = settings.options;
  const before = listHops(hops.slice(0, -1));
  const hop = await resolve(last, {
    ...(configFile === undefined ? {} : { configFile }),
    ...(before !== "" && { proxyJump: before }),
  });
  const through = [...towards, settings.target];
  checkChain(hop.target, { towards: through });
  return [hop, ...(await resolveHops(hop, resolve, through))];
}
