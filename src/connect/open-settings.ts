import { say } from "./config/notices.ts";
import { resolveSettings } from "./config/resolve-settings.ts";
import { destinationUrl } from "./destination.ts";
import { openConnection } from "./open-connection.ts";
import { openOpenSsh } from "./openssh/open-openssh.ts";
import type { OwnedConnection } from "./owned-connection.ts";
import type { Settings } from "./settings.ts";
import { checkChain, type Errand, type OpenHop } from "./way/errand.ts";
import { resolveHops } from "./way/resolve-hops.ts";

const OF_A_HOP = { connectTimeoutMs: 0, serverAliveIntervalMs: 0 };

/**
 * Connects as the settings say: by `ssh2`, or by the system's `ssh` where that was asked for or is needed.
 *
 * @param errand what it is for, if it is a jump host
 */
export async function openSettings(
  settings: Settings,
  signal?: AbortSignal,
  errand?: Errand,
): Promise<OwnedConnection> {
  const bySystem = isForOpenSsh(settings);
  if (bySystem) await resolveHops(settings, (hop, options) => resolveSettings(hop, options, signal), errand?.towards);
  const connection = await (bySystem
    ? openOpenSsh(settings, openHop, signal, errand)
    : openConnection(settings, openHop, signal, errand));
  connection.destination = destinationUrl({ ...settings.target, host: settings.alias });
  return connection;
}

/** Whether the system's `ssh` is to connect; what was chosen, or is gone without, is said. */
function isForOpenSsh({ options, alias, needsOpenSsh }: Settings): boolean {
  const { backend = "auto" } = options;
  const needed = needsOpenSsh.join(", ");
  if (needed !== "" && backend === "ssh2")
    say(options, `\`ssh2\` goes without what the configuration asks for: ${needed}.`);
  if (needed !== "" && backend === "auto")
    say(options, `The system's \`ssh\` connects to ${alias}, because of ${needed}.`);
  return backend === "openssh" || (backend === "auto" && needed !== "");
}

/**
 * A jump host has no deadline and no keepalives of its own, unless its configuration says so: those of the connection
 * that goes through it count for all of the way.
 */
const openHop: OpenHop = async (destination, options, errand, signal) => {
  const settings = await resolveSettings(destination, options, signal);
  checkChain(settings.target, errand);
  return openSettings({ ...settings, options: { ...OF_A_HOP, ...settings.options } }, signal, errand);
};
