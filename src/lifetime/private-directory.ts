import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { longestSocketPath } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import { OWN_PREFIX, sweepStale } from "./owner-mark.ts";

/** Room for a slash and the name of a socket, which Go plugins call `plugin` and up to ten digits. */
const NAME_LENGTH = 32;

/** Those that are there now. They go with the process, if it ends by itself. */
const made = new Set<string>();

/**
 * Makes a directory on this machine that only we can enter, for sockets or keys. Where the temporary directory's own
 * name is too long for a socket below it, `/tmp` is taken. It goes with the process; what a killed process had to leave
 * there is removed by the next one that comes this way.
 *
 * @param parent where to make it, and nowhere else; by default the temporary directory
 * @throws {PluginError} `forward-failed` if none can be made
 */
export async function makePrivateDirectory(parent?: string): Promise<string> {
  const room = longestSocketPath(process.platform) - NAME_LENGTH;
  const wanted = parent === undefined ? [...new Set([resolve(tmpdir()), "/tmp"])] : [resolve(parent)];
  const bases = wanted.filter((base) => Buffer.byteLength(join(base, `${OWN_PREFIX}XXXXXX`)) <= room);
  let cause: unknown;
  for (const base of bases) {
    try {
      // mkdtemp makes it 0700, whatever the umask.
      const directory = await mkdtemp(join(base, OWN_PREFIX));
      if (made.size === 0) process.on("exit", removeAll);
      made.add(directory);
      await sweepStale(base);
      return directory;
    } catch (failure) {
      cause = failure;
    }
  }
  throw new PluginError("forward-failed", `No private directory could be made in ${wanted.join(" or ")}.`, {
    cause,
    hint: 'Set TMPDIR to a writable directory with a short name, or ask for TCP with `hostNetwork: "tcp"`.',
  });
}

/** Removes what {@link makePrivateDirectory} made. */
export async function removePrivateDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  if (made.delete(directory) && made.size === 0) process.off("exit", removeAll);
}

function removeAll(): void {
  for (const directory of made) rmSync(directory, { recursive: true, force: true });
}
