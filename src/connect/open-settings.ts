import { openConnection } from "./open-connection.ts";
import { openOpenSsh } from "./openssh/open-openssh.ts";
import type { OwnedConnection } from "./owned-connection.ts";
import type { Settings } from "./settings.ts";

/** Connects as the settings say: by `ssh2`, or by the system's `ssh` where that was asked for or is needed. */
export async function openSettings(settings: Settings, signal?: AbortSignal): Promise<OwnedConnection> {
  const { target, options, needsOpenSsh } = settings;
  const { backend = "auto", onNotice = () => {} } = options;
  const needed = needsOpenSsh.join(", ");
  if (needed !== "" && backend === "ssh2")
    onNotice(`\`ssh2\` goes without what the configuration asks for: ${needed}.`);
  if (needed !== "" && backend === "auto") onNotice(`The system's \`ssh\` connects, because of ${needed}.`);
  if (backend === "openssh" || (backend === "auto" && needed !== "")) return openOpenSsh(settings, signal);
  return openConnection(target, options, signal);
}
