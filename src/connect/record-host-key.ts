import { type FileHandle, mkdir, open, readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { PluginError } from "../contract/errors.ts";

/** How often a line is written again because somebody put another file in the place of the one it went to. */
const TRIES = 5;

/**
 * Appends `line` to a known_hosts file, in one write, so that other writers' lines and this one stay whole. The file is
 * made with mode 0600 and its directory with 0700 where they are missing; a last line without an end gets one first, so
 * that the two do not run together. Where the file was replaced meanwhile, as `ssh-keygen -R` does, the new one gets
 * the line too.
 *
 * @throws {PluginError} `config-error` if not all of it was written
 */
export async function recordHostKey(file: string, line: string): Promise<void> {
  try {
    await makeDirectory(dirname(file));
    let isThere = await append(file, line);
    for (let left = TRIES; left > 0 && !isThere; left -= 1) {
      isThere = (await hasLine(file, line)) || (await append(file, line));
    }
  } catch (cause) {
    throw new PluginError("config-error", `The new host key could not be recorded in ${file}.`, {
      hint: `Make ${file} writable, or name another file in \`userKnownHostsFile\`, or add the line by hand:\n  ${line}`,
      cause,
    });
  }
}

/** Whether whoever replaced the file took the line over. */
async function hasLine(file: string, line: string): Promise<boolean> {
  const text = await readFile(file, "utf8").catch(() => "");
  return text.split("\n").includes(line);
}

/** Writes the line; whether it is in the file that goes by that name now. */
async function append(file: string, line: string): Promise<boolean> {
  const handle = await open(file, "a+", 0o600);
  try {
    const text = Buffer.from(`${(await endsWithinLine(handle)) ? "\n" : ""}${line}\n`);
    const { bytesWritten } = await handle.write(text);
    if (bytesWritten < text.length) {
      throw new PluginError("config-error", `Only ${bytesWritten} of ${text.length} bytes could be written.`);
    }
    const [written, named] = await Promise.all([handle.stat(), stat(file).catch(() => undefined)]);
    return written.ino === named?.ino && written.dev === named.dev;
  } finally {
    await handle.close();
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
