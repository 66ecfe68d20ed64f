import { homedir } from "node:os";
import { join } from "node:path";

/** The files that OpenSSH reads when nothing else is configured. */
export function defaultKnownHostsFiles(): { userKnownHostsFile: string[]; globalKnownHostsFile: string[] } {
  const own = join(homedir(), ".ssh");
  return {
    userKnownHostsFile: [join(own, "known_hosts"), join(own, "known_hosts2")],
    globalKnownHostsFile: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
  };
}
