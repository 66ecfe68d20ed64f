import { PluginError } from "../../contract/errors.ts";
import { type DestinationParts, describeTarget, type Target } from "../destination.ts";
import { isGiven, listHops, parseHops } from "../way/parse-hops.ts";

/**
 * The value of ProxyJump as `ssh -G` tells it: `user@host:port` each, joined by commas; `none` for no hops.
 * `undefined` for what is no such list.
 */
export function readJump(text: string): string | undefined {
  if (text.toLowerCase() === "none") return "none";
  const hops = read(text);
  return hops && listHops(hops);
}

/**
 * Refuses a box that is to be reached through itself, as `ssh` does.
 *
 * @throws {PluginError} `config-error`
 */
export function refuseJumpToItself(proxyJump: string | undefined, target: Target): void {
  const hop = isGiven(proxyJump) ? read(proxyJump)?.at(-1) : undefined;
  if (hop === undefined) return;
  const { host, port = 22, user = target.user } = hop;
  if (host !== target.host || port !== target.port || user !== target.user) return;
  throw new PluginError("config-error", `${describeTarget(target)} is to be reached through itself (ProxyJump).`, {
    hint: "A `Host *` with a ProxyJump counts for the jump host too, unless it has `ProxyJump none`.",
  });
}

function read(text: string): DestinationParts[] | undefined {
  try {
    return parseHops(text);
  } catch (failure) {
    if (failure instanceof PluginError) return undefined;
    throw failure;
  }
}
