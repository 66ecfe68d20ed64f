import { checkPatterns } from "../../exec/environment.ts";
import { explainSettings, SshRunner } from "../../index.ts";
import { within } from "../../lifetime/deadline.ts";
import type { ShimSettings } from "../settings.ts";

/** How long the OpenSSH configuration may take to be read, which may run commands. */
const RESOLVE_MS = 20_000;

/**
 * Refuses what would be found out only when a host starts the shim. The OpenSSH configuration is read once, by `ssh`
 * where there is one; nothing is connected to.
 *
 * @throws {PluginError} `bad-options` or `config-error`, as connecting does before it connects
 */
export async function checkBeforehand(settings: ShimSettings): Promise<void> {
  const { destination, connect, command, directory, forwardEnv = [], hostNetwork, relay } = settings;
  checkPatterns(forwardEnv);
  // A runner that is made has opened nothing yet, and has looked at all that it was given.
  new SshRunner({
    destination,
    ...connect,
    command: command as [string, ...string[]],
    ...(directory !== undefined && { directory }),
    ...(hostNetwork && { hostNetwork }),
    ...(relay && { relay }),
  });
  await within({ timeoutMs: RESOLVE_MS }, (over) => explainSettings(destination, connect, over));
}
