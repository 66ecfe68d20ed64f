import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import type { Visit } from "./box.ts";

/** What sshd sets when nobody says otherwise. */
const PATH = "/usr/local/bin:/usr/bin:/bin";

/**
 * Starts what the client asked for as sshd does: through the login shell, in the home directory, in a session and a
 * process group of its own, and with a short environment that owes nothing to the one of this process.
 *
 * Its streams are socket pairs, because Node has no pipes to offer: a command cannot open `/dev/stderr` by its name.
 *
 * @param command what the client asked for; `undefined` for an interactive shell
 */
export function spawnAtLogin(visit: Visit, command: string | undefined): ChildProcessWithoutNullStreams {
  const { home, loginShell, forceCommand } = visit.box.options;
  const line = forceCommand ?? command;
  return spawn(loginShell, line === undefined ? [] : ["-c", line], {
    argv0: line === undefined ? `-${basename(loginShell)}` : basename(loginShell),
    cwd: existsSync(home) ? home : "/",
    detached: true,
    env: {
      ...environment(visit),
      ...(forceCommand !== undefined && command !== undefined ? { SSH_ORIGINAL_COMMAND: command } : {}),
    },
    stdio: "pipe",
  });
}

function environment({ box, clientPort }: Visit): Record<string, string> {
  const { user, home, loginShell } = box.options;
  return {
    USER: user,
    LOGNAME: user,
    HOME: home,
    PATH,
    SHELL: loginShell,
    SSH_CLIENT: `127.0.0.1 ${clientPort} ${box.port}`,
    SSH_CONNECTION: `127.0.0.1 ${clientPort} 127.0.0.1 ${box.port}`,
  };
}
