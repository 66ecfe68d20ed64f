import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { TestServer } from "../servers/server.ts";
import { eventually } from "../tools/eventually.ts";
import { ask } from "./moving.ts";

/** A forward that OpenSSH's own client makes. Disposing it ends that client. */
export interface SshForward extends AsyncDisposable {
  readonly host: string;
}

/** Has `ssh -L` listen on a unix socket in `directory` for the one at `plugin` on the box. */
export async function sshForward(server: TestServer, plugin: string, directory: string): Promise<SshForward> {
  const host = join(directory, "ssh-forward");
  const options = ["BatchMode=yes", "IdentitiesOnly=yes", "ExitOnForwardFailure=yes", "StreamLocalBindUnlink=yes"];
  const child = spawn(
    "ssh",
    [
      ...["-F", "none", "-N", "-L", `${host}:${plugin}`, "-i", server.identityFile, "-p", String(server.port)],
      ...[...options, `UserKnownHostsFile=${server.knownHostsFile}`].flatMap((option) => ["-o", option]),
      `${server.user}@${server.host}`,
    ],
    { stdio: "ignore", env: { PATH: process.env.PATH } },
  );
  const closed = once(child, "close");
  try {
    await eventually(() => ask(host, "look"), { timeoutMs: 20_000, what: "ssh -L to listen" });
  } catch (failure) {
    child.kill("SIGKILL");
    throw failure;
  }
  return {
    host,
    [Symbol.asyncDispose]: async () => {
      // Another signal may be seen late: OpenSSH 9.2 looks for one before it waits, not while.
      child.kill("SIGKILL");
      await closed;
    },
  };
}
