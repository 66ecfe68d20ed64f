import type { Settings } from "../settings.ts";
import { dialTcp } from "./dial-tcp.ts";
import type { Errand, OpenHop } from "./errand.ts";
import { expandProxyTokens } from "./expand-proxy-tokens.ts";
import { jump } from "./jump.ts";
import { hopsOf, isGiven } from "./parse-hops.ts";
import { runProxyCommand } from "./proxy-command.ts";
import type { Way } from "./way.ts";

/**
 * Opens the way to a server that the settings name: through jump hosts, by a command, or directly.
 *
 * @param errand what a jump host is told it is for
 * @throws {PluginError} `connect-failed`, `config-error`, `forward-forbidden`, `aborted`, or what connecting to a jump
 *   host threw; nothing stays open then
 */
export async function openWay(settings: Settings, openHop: OpenHop, errand: Errand, signal: AbortSignal): Promise<Way> {
  const { alias, target, options } = settings;
  const hops = hopsOf(settings);
  if (hops.length > 0) return jump(hops, target, options, errand, openHop, signal);
  const { proxyCommand } = options;
  if (!isGiven(proxyCommand)) return dialTcp(target, options, signal);
  return runProxyCommand(expandProxyTokens("proxyCommand", proxyCommand, { ...target, alias }));
}
