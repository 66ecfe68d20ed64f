import { resolveSettings } from "./config/resolve-settings.ts";
import { destinationUrl } from "./destination.ts";
import { openConnection } from "./open-connection.ts";
import type { Settings } from "./settings.ts";
import type { SshConnection } from "./ssh-connection.ts";
import { checkChain, type Errand, type OpenHop } from "./way/errand.ts";

/**
 * Connects as the settings say: by `ssh2`.
 *
 * @param errand what it is for, if it is a jump host
 */
export async function openSettings(settings: Settings, signal?: AbortSignal, errand?: Errand): Promise<SshConnection> {
  const connection = await openConnection(settings, openHop, signal, errand);
  connection.destination = destinationUrl({ ...settings.target, host: settings.alias });
  return connection;
}

/** A jump host has no time of its own, unless its configuration says so: the deadline of the whole counts. */
const openHop: OpenHop = async (destination, options, errand, signal) => {
  const settings = await resolveSettings(destination, options, signal);
  checkChain(settings.target, errand);
  return openSettings({ ...settings, options: { connectTimeoutMs: 0, ...settings.options } }, signal, errand);
};
