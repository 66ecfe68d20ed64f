import { PluginError } from "../../contract/errors.ts";
import { within } from "../../lifetime/deadline.ts";
import { describeTarget } from "../destination.ts";
import type { Settings } from "../settings.ts";
import { type Errand, failedHop } from "../way/errand.ts";
import { OpenSshConnection } from "./openssh-connection.ts";
import { startOwnMaster } from "./own-master.ts";
import { findSystemSsh } from "./system-ssh.ts";
import { joinUserMaster } from "./user-master.ts";

/**
 * Connects through the system's `ssh`: through a master that the user has running, or through one of our own.
 *
 * @param errand what it is for, if it is a jump host
 * @throws {PluginError} `unsupported` where no `ssh` can be used, and what connecting over `ssh2` throws
 */
export async function openOpenSsh(
  settings: Settings,
  signal?: AbortSignal,
  errand?: Errand,
): Promise<OpenSshConnection> {
  const connecting = within(
    { signal },
    async (over) => {
      const ssh = await findSystemSsh();
      const joined = settings.isApart ? undefined : await joinUserMaster(settings, ssh, over);
      const master = joined ?? (await startOwnMaster(settings, ssh, over, errand));
      return new OpenSshConnection(master, settings.target);
    },
    (connection) => connection.close(),
  );
  return connecting.catch((failure) => {
    if (!errand || !(failure instanceof PluginError)) throw failure;
    throw failedHop(failure, describeTarget(settings.target), errand);
  });
}
