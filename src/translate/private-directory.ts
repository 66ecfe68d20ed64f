import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PluginError } from "../contract/errors.ts";
import { longestSocketPath } from "./check-address.ts";

/** Room for a slash and the name of a socket, which Go plugins call `plugin` and up to ten digits. */
const NAME_LENGTH = 32;

/**
 * Makes a directory on this machine that only we can enter, for sockets. Where the temporary directory's own name is
 * too long for a socket below it, `/tmp` is taken.
 *
 * @throws {PluginError} `forward-failed` if none can be made
 */
export async function makePrivateDirectory(): Promise<string> {
  const room = longestSocketPath(process.platform) - NAME_LENGTH;
  const bases = [tmpdir(), "/tmp"].filter((base) => Buffer.byteLength(join(base, "gps-XXXXXX")) <= room);
  let cause: unknown;
  for (const base of bases) {
    try {
      // mkdtemp makes it 0700, whatever the umask.
      return await mkdtemp(join(base, "gps-"));
    } catch (failure) {
      cause = failure;
    }
  }
  throw new PluginError("forward-failed", `No private directory for sockets could be made in ${bases.join(" or ")}.`, {
    cause,
    hint: 'Set TMPDIR to a writable directory with a short name, or ask for TCP with `hostNetwork: "tcp"`.',
  });
}

/** Removes what {@link makePrivateDirectory} made. */
export async function removePrivateDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
}
