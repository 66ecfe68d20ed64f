import { homedir } from "node:os";
import { join } from "node:path";
import type { ConnectOptions } from "./connect-options.ts";
import { expandHome } from "./identity-files.ts";

/** The known_hosts files that count with these options. */
export function knownHostsFiles({ userKnownHostsFile, globalKnownHostsFile }: ConnectOptions) {
  const defaults = defaultKnownHostsFiles();
  return {
    userKnownHostsFile: files(userKnownHostsFile) ?? defaults.userKnownHostsFile,
    globalKnownHostsFile: files(globalKnownHostsFile) ?? defaults.globalKnownHostsFile,
  };
}

/** The files that OpenSSH reads when nothing else is configured. */
export function defaultKnownHostsFiles(): { userKnownHostsFile: string[]; globalKnownHostsFile: string[] } {
  const own = join(homedir(), ".ssh");
  return {
    userKnownHostsFile: [join(own, "known_hosts"), join(own, "known_hosts2")],
    globalKnownHostsFile: ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
  };
}

function files(option: string | readonly string[] | undefined): string[] | undefined {
  return option === undefined ? undefined : [option].flat().map(expandHome);
}
