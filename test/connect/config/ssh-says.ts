import { spawnSync } from "node:child_process";

const PATH = process.env.PATH;

/** What the `ssh` of this machine prints with `-G`, whatever the PATH is now: each keyword with all its values. `undefined` where it refuses. */
export function sshSays(args: readonly string[]): Map<string, string[]> | undefined {
  const { status, stdout } = spawnSync("ssh", ["-G", ...args], { encoding: "utf8", env: { ...process.env, PATH } });
  if (status !== 0) return undefined;
  const said = new Map<string, string[]>();
  for (const line of stdout.trimEnd().split("\n")) {
    const blank = line.indexOf(" ");
    const keyword = (blank === -1 ? line : line.slice(0, blank)).toLowerCase();
    said.set(keyword, [...(said.get(keyword) ?? []), blank === -1 ? "" : line.slice(blank + 1)]);
  }
  return said;
}
