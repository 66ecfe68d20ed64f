import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { dirname, join } from "node:path";
import { eventually, isAlive } from "../tools/leaks.ts";
import { sessionPids } from "./end-spawned.ts";
import { findSshd, SSHD } from "./openssh.ts";
import type { TestServer } from "./server.ts";

/** An sshd that took the place of another. Disposing it ends it and all its sessions. */
export interface RestartedServer extends AsyncDisposable {
  /** The processes that serve one connection each (or their parts). */
  sessionPids(): number[];
}

/** What a box does that is switched off and on: all connections break, and soon the same sshd listens on the same port. */
export async function restartOpenSsh(server: TestServer): Promise<RestartedServer> {
  const sshd = findSshd();
  if (!sshd) throw new Error("There is no sshd here.");
  const directory = dirname(server.identityFile);
  const times = async () => (await server.log()).split("Server listening").length - 1;
  const before = await times();
  const old = [server.pid, ...server.sessionPids()];
  for (const pid of old) killIfThere(pid);
  await eventually(() => !old.some(isAlive), { what: "the old server to be gone" });

  const log = openSync(join(directory, "server.log"), "a");
  const args = ["-D", "-E", join(directory, "server.log"), "-f", join(directory, "sshd_config")];
  const child = spawn(sshd, args, { stdio: ["ignore", log, log] });
  const exited = once(child, "exit");
  const pids = () => sessionPids(child.pid ?? 0, SSHD);
  await eventually(async () => (await times()) > before, { what: "the new server to listen", timeoutMs: 20_000 });
  return {
    sessionPids: pids,
    [Symbol.asyncDispose]: async () => {
      const all = pids();
      child.kill("SIGKILL");
      for (const pid of all) killIfThere(pid);
      await exited;
    },
  };
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It has ended by itself.
  }
}
