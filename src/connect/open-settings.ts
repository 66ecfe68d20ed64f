import { destinationUrl } from "./destination.ts";
import { openConnection } from "./open-connection.ts";
import type { Settings } from "./settings.ts";
import type { SshConnection } from "./ssh-connection.ts";

/** Connects as the settings say: by `ssh2`. */
export async function openSettings(settings: Settings, signal?: AbortSignal): Promise<SshConnection> {
  const connection = await openConnection(settings.target, settings.options, signal);
  connection.destination = destinationUrl({ ...settings.target, host: settings.alias });
  return connection;
}
