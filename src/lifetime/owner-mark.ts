import { readlinkSync } from "node:fs";
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";

const PREFIX = "gps-";

/**
 * How the names of this process's directories begin: they tell whose they are, so that another process can see
 * whether the owner lives. Pids of different containers say nothing about each other, so their namespace is told too.
 */
export const OWN_PREFIX = `${PREFIX}${pidNamespace()}_${process.pid}_`;

/**
 * Removes from `base` what processes of this account and this pid namespace left there that could not tidy up, because
 * they were killed. Whatever cannot be told for certain stays. Never rejects.
 */
export async function sweepStale(base: string): Promise<void> {
  const names = await readdir(base).catch(() => []);
  await Promise.all(
    names.map(async (name) => {
      const [, namespace, pid] = /^gps-([0-9a-z]+)_(\d+)_/.exec(name) ?? [];
      if (namespace !== pidNamespace() || isAlive(Number(pid))) return;
      const path = join(base, name);
      const found = await stat(path).catch(() => undefined);
      if (!found?.isDirectory() || found.uid !== process.getuid?.()) return;
      await rm(path, { recursive: true, force: true }).catch(() => {});
    }),
  );
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (failure) {
    return (failure as NodeJS.ErrnoException).code !== "ESRCH";
  }
}

/** The number of the namespace that this process's pid belongs to, in short; `0` where there is no such thing. */
function pidNamespace(): string {
  try {
    const [, number] = /\[(\d+)\]/.exec(readlinkSync("/proc/self/ns/pid")) ?? [];
    return Number(number ?? 0).toString(36);
  } catch {
    return "0";
  }
}
