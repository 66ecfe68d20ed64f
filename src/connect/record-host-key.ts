import { type FileHandle, mkdir, open } from "node:fs/promises";
import { dirname } from "node:path";
import { PluginError } from "../contract/errors.ts";

/**
 * Appends `line` to a known_hosts file, in one write. The file is made with mode 0600 and its directory with 0700 where
 * they are missing; a last line without an end gets one first, so that the two do not run together.
 *
 * @throws {PluginError} `config-error` if not all of it was written
 */
export async function recordHostKey(file: string, line: string): Promise<void> {
  try {
    await makeDirectory(dirname(file));
    const handle = await open(file, "a+", 0o600);
    try {
      const text = Buffer.from(`${(await endsWithinLine(handle)) ? "\n" : ""}${line}\n`);
      const { bytesWritten } = await handle.write(text);
      if (bytesWritten < text.length) {
        throw new PluginError("config-error", `Only ${bytesWritten} of ${text.length} bytes could be written.`);
      }
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw new PluginError("config-error", `The new host key could not be recorded in ${file}.`, {
      hint: `Make ${file} writable, or name another file in \`userKnownHostsFile\`, or add the line by hand:\n  ${line}`,
      cause,
    });
  }
}

/**
 * Makes `path` and what is missing above it. Node's own recursive `mkdir` never returns where nothing can be made below
 * an existing directory, in `/proc` for example.
 */
async function makeDirectory(path: string): Promise<void> {
  const make = () => mkdir(path, { mode: 0o700 });
  try {
    await make();
  } catch (failure) {
    const { code } = failure as NodeJS.ErrnoException;
    if (code === "EEXIST") return;
    const above = dirname(path);
    if (code !== "ENOENT" || above === path) throw failure;
    await makeDirectory(above);
    await make();
  }
}

/** Whether the file has a last line that does not end. */
async function endsWithinLine(handle: FileHandle): Promise<boolean> {
  const { size } = await handle.stat();
  if (size === 0) return false;
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(1), 0, 1, size - 1);
  return bytesRead === 1 && buffer[0] !== 0x0a;
}
