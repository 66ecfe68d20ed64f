import type { Settings } from "../settings.ts";
import { dialTcp } from "./dial-tcp.ts";
import type { Errand, OpenHop } from "./errand.ts";
import { expandTokens } from "./expand-tokens.ts";
import { jump } from "./jump.ts";
import { parseHops } from "./parse-hops.ts";
import { runProxyCommand } from "./proxy-command.ts";
import type { Way } from "./way.ts";

/**
 * Opens the way to a server that the settings name: through jump hosts, by a command, or directly.
 *
 * @param errand what a jump host is told it is for
 * @throws {PluginError} `connect-failed`, `config-error`, `forward-forbidden`, `aborted`, or what connecting to a jump
 *   host threw; nothing stays open then
 */
export async function openWay(
  { alias, target, options }: Settings,
  openHop: OpenHop,
  errand: Errand,
  signal: AbortSignal,
): Promise<Way> {
  const { proxyJump, proxyCommand } = options;
  const values = { ...target, alias };
  if (isGiven(proxyJump)) {
    const hops = parseHops(expandTokens("proxyJump", proxyJump, values));
    return jump(hops, target, options, errand, openHop, signal);
  }
  if (isGiven(proxyCommand)) return runProxyCommand(expandTokens("proxyCommand", proxyCommand, values));
  return dialTcp(target, options, signal);
}

/** Whether there is one. `none` is what the configuration has to say so. */
function isGiven(text: string | undefined): text is string {
  return text !== undefined && text !== "" && text.toLowerCase() !== "none";
}
