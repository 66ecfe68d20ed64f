import { openConnection } from "./open-connection.ts";
import type { Settings } from "./settings.ts";
import type { SshConnection } from "./ssh-connection.ts";

/** Connects as the settings say: by `ssh2`. */
export async function openSettings({ target, options }: Settings, signal?: AbortSignal): Promise<SshConnection> {
  return openConnection(target, options, signal);
}
