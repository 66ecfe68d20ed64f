import { randomUUID } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { chmod, link, lstat, mkdir, open, rename, rm, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { PluginError } from "../../contract/errors.ts";
import type { ShimSettings } from "../settings.ts";
import { withAbsolutePaths } from "./absolute-paths.ts";
import { checkBeforehand } from "./check-beforehand.ts";
import { isShimScript, shimScript } from "./script.ts";

/** The kernel reads this much of a file's first line: 256 bytes since Linux 5.1, 128 before. `#!` and the end belong to it. */
const [LONGEST_NODE, LONGEST_NODE_BEFORE] = [253, 125];

/** What to install, and where. */
export interface Installation {
  path: string;
  settings: ShimSettings;
  /** The module that the shim loads, as a file URL. */
  module: string;
  release: string;
  /** What to type in order to install it again. */
  again: string;
  /** @default the Node that runs this */
  node?: string | undefined;
}

/** What was installed. */
export interface Installed {
  /** Absolute. */
  path: string;
  node: string;
  /** What may go wrong later, in sentences. */
  warnings: readonly string[];
}

/**
 * Writes an executable that a host can start as if it were the plugin, under whatever name the host looks for. A shim
 * that was installed there before is replaced, at once and whole.
 *
 * What the shim would refuse when it connects is refused here: the OpenSSH configuration is read once, by `ssh` where
 * there is one. Nothing is connected to.
 *
 * @throws {PluginError} `bad-options` if something else is there, the Node cannot be named in a script, or a setting is
 *   none; `config-error` if the file cannot be written, or the OpenSSH configuration cannot be read
 */
export async function installShim(installation: Installation): Promise<Installed> {
  const path = resolve(installation.path);
  const node = installation.node ?? process.execPath;
  const warnings = checkNode(node);
  if (installation.module.includes("/_npx/")) {
    warnings.push("It loads go-plugin-ssh from npx's cache, which may be cleared: install the package to keep it.");
  }
  const isOurs = await isInstalled(path);
  const settings = withAbsolutePaths(installation.settings);
  await checkBeforehand(settings);
  const { module, release, again } = installation;
  await write(path, shimScript({ node, module, release, again, settings }), isOurs);
  return { path, node, warnings };
}

/** Refuses a Node that a `#!` line cannot name, which the kernel would cut off or split at a space. */
function checkNode(node: string): string[] {
  const length = Buffer.byteLength(node);
  const hint = "Name another with `--node`: a symbolic link with a short path and no spaces will do.";
  if (!isAbsolute(node) || /\s/.test(node) || length > LONGEST_NODE) {
    const what = `${JSON.stringify(node)} cannot stand in the first line of a script: it must be absolute, without spaces, and have at most ${LONGEST_NODE} bytes.`;
    throw new PluginError("bad-options", what, { hint });
  }
  try {
    accessSync(node, constants.X_OK);
  } catch (cause) {
    throw new PluginError("bad-options", `${JSON.stringify(node)} cannot be executed.`, { cause, hint });
  }
  return length > LONGEST_NODE_BEFORE
    ? [`Linux before 5.1 cannot start it: the path of Node has ${length} bytes.`]
    : [];
}

/** Whether a shim of ours is there. Refuses to overwrite what we did not write. */
async function isInstalled(path: string): Promise<boolean> {
  const found = await whatIsAt(path);
  if (found === "other") throw isTaken(path);
  return found === "ours";
}

function isTaken(path: string, cause?: unknown): PluginError {
  return new PluginError("bad-options", `${JSON.stringify(path)} is there already, and is no shim of ours.`, {
    hint: "Move it away, or choose another path.",
    cause,
  });
}

/**
 * What stands at a path: a shim that `--install` wrote, nothing, or something else, to which links belong, wherever they
 * lead. Programs can be large, so only a file's beginning is read.
 *
 * @throws {PluginError} `config-error` if that cannot be known
 */
export async function whatIsAt(path: string): Promise<"ours" | "other" | undefined> {
  try {
    if (!(await lstat(path)).isFile()) return "other";
    await using file = await open(path);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    return isShimScript(buffer.toString("utf8", 0, bytesRead)) ? "ours" : "other";
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    const what = `What is at ${JSON.stringify(path)} could not be read: ${(cause as Error).message}.`;
    throw new PluginError("config-error", what, { cause });
  }
}

async function write(path: string, text: string, isOurs: boolean): Promise<void> {
  const unfinished = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(unfinished, text, { mode: 0o755, flag: "wx" });
    await chmod(unfinished, 0o755);
    await (isOurs ? rename(unfinished, path) : appear(unfinished, path));
  } catch (cause) {
    await rm(unfinished, { force: true });
    if (cause instanceof PluginError) throw cause;
    throw new PluginError(
      "config-error",
      `${JSON.stringify(path)} could not be written: ${(cause as Error).message}.`,
      {
        cause,
      },
    );
  }
}

/** Gives a file its name, but takes it from nobody who came in between. */
async function appear(unfinished: string, path: string): Promise<void> {
  try {
    await link(unfinished, path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "EEXIST") throw isTaken(path, cause);
    // Some file systems have no links.
    return rename(unfinished, path);
  }
  await rm(unfinished);
}
