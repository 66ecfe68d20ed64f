import { within } from "../../lifetime/deadline.ts";
import type { Settings } from "../settings.ts";
import type { Errand, OpenHop } from "../way/errand.ts";
import { OpenSshConnection } from "./openssh-connection.ts";
import { startOwnMaster } from "./own-master.ts";
import { findSystemSsh } from "./system-ssh.ts";
import { trustedPins } from "./trusted-pins.ts";
import { joinUserMaster } from "./user-master.ts";

/**
 * Connects through the system's `ssh`: through a master that the user has running, or through one of our own.
 *
 * @param openHop connects to a jump host
 * @param errand what it is for, if it is a jump host
 * @throws {PluginError} `unsupported` where no `ssh` can be used, and what connecting over `ssh2` throws
 */
export async function openOpenSsh(
  asked: Settings,
  openHop: OpenHop,
  signal?: AbortSignal,
  errand?: Errand,
): Promise<OpenSshConnection> {
  return within(
    { signal },
    async (over) => {
      const ssh = await findSystemSsh();
      const settings = await trustedPins(asked, over);
      const joined = settings.isApart ? undefined : await joinUserMaster(settings, ssh, over);
      const master = joined ?? (await startOwnMaster(settings, ssh, openHop, over, errand));
      return new OpenSshConnection(master, settings.target);
    },
    (connection) => connection.close(),
  );
}
