import { PluginError } from "../../contract/errors.ts";
import { describeTarget, readDestination, type Target } from "../destination.ts";

/**
 * The value of ProxyJump as `ssh -G` tells it: `user@host:port` each, joined by commas; `none` for no hops.
 * `undefined` for what is no such list.
 */
export function readJump(text: string): string | undefined {
  if (text.toLowerCase() === "none") return "none";
  const hops = text.split(",").map(readHop);
  return hops.includes(undefined) ? undefined : hops.join(",");
}

/**
 * Refuses a box that is to be reached through itself, as `ssh` does.
 *
 * @throws {PluginError} `config-error`
 */
export function refuseJumpToItself(proxyJump: string | undefined, target: Target): void {
  const hop = readHop(proxyJump?.split(",").at(-1) ?? "none");
  if (hop === undefined) return;
  const { host, port = 22, user = target.user } = readDestination(`ssh://${hop}`);
  if (host !== target.host || port !== target.port || user !== target.user) return;
  throw new PluginError("config-error", `${describeTarget(target)} is to be reached through itself (ProxyJump).`, {
    hint: "A `Host *` with a ProxyJump counts for the jump host too, unless it has `ProxyJump none`.",
  });
}

function readHop(text: string): string | undefined {
  const url = text.startsWith("ssh://") ? text : `ssh://${text}`;
  try {
    const { host, port, user } = readDestination(url);
    const place = host.includes(":") ? `[${host}]` : host;
    return `${user === undefined ? "" : `${user}@`}${place}${port === undefined ? "" : `:${port}`}`;
  } catch (failure) {
    if (failure instanceof PluginError) return undefined;
    throw failure;
  }
}
