import { runSsh, type SshRun } from "./run-ssh.ts";

let asked: { path: string | undefined; answer: Promise<SshRun | undefined> } | undefined;

/**
 * What the `ssh` on the PATH says of itself (`ssh -V`), `undefined` where there is none. It is asked once, and again if
 * the PATH has changed or it did not answer.
 *
 * @throws {PluginError} as {@link runSsh}
 */
export function sshVersion(): Promise<SshRun | undefined> {
  const path = process.env.PATH;
  if (asked?.path === path) return (asked as NonNullable<typeof asked>).answer;
  const now = { path, answer: runSsh(["-V"]) };
  asked = now;
  now.answer.catch(() => {
    if (asked === now) asked = undefined;
  });
  return now.answer;
}
