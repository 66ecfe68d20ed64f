import type { ConnectOptions } from "../connect-options.ts";
import { type Destination, parseDestination } from "../destination.ts";
import type { Settings } from "../settings.ts";

/**
 * Decides everything about a connection: explicit options go before the URL, the URL before the OpenSSH configuration.
 *
 * @throws {PluginError} `bad-options` or `config-error`, naming what cannot be used; `timeout` or `aborted`
 */
export async function resolveSettings(
  destination: Destination,
  options: ConnectOptions,
  _signal?: AbortSignal,
): Promise<Settings> {
  const target = parseDestination(destination);
  return { alias: target.host, target, options, needsOpenSsh: [] };
}
