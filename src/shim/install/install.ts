import { randomUUID } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { chmod, mkdir, open, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, isAbsolute, resolve } from "node:path";
import { PluginError } from "../../contract/errors.ts";
import type { ShimSettings } from "../settings.ts";
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
 * @throws {PluginError} `bad-options` if something else is there, or the Node cannot be named in a script; `config-error`
 *   if the file cannot be written
 */
export async function installShim(installation: Installation): Promise<Installed> {
  const path = resolve(installation.path);
  const node = installation.node ?? process.execPath;
  const warnings = checkNode(node);
  if (installation.module.includes("/_npx/")) {
    warnings.push("It loads go-plugin-ssh from npx's cache, which may be cleared: install the package to keep it.");
  }
  await checkPlace(path);
  const { module, release, again } = installation;
  await write(path, shimScript({ node, module, release, again, settings: withAbsolutePaths(installation.settings) }));
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

/** Refuses to overwrite what we did not write. */
async function checkPlace(path: string): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found) return;
  if (found.isFile() && (await isOurs(path))) return;
  throw new PluginError("bad-options", `${JSON.stringify(path)} is there already, and is no shim of ours.`, {
    hint: "Move it away, or choose another path.",
  });
}

/** Whether the file is a shim that `--install` wrote. Programs can be large, so only its beginning is read. */
export async function isOurs(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(1024), 0, 1024, 0);
    return isShimScript(buffer.toString("utf8", 0, bytesRead));
  } finally {
    await file.close();
  }
}

async function write(path: string, text: string): Promise<void> {
  const unfinished = `${path}.${randomUUID().slice(0, 8)}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(unfinished, text, { mode: 0o755, flag: "wx" });
    await chmod(unfinished, 0o755);
    await rename(unfinished, path);
  } catch (cause) {
    await rm(unfinished, { force: true });
    throw new PluginError(
      "config-error",
      `${JSON.stringify(path)} could not be written: ${(cause as Error).message}.`,
      {
        cause,
      },
    );
  }
}

/** A host starts the shim wherever it likes, so files are named by absolute paths. */
function withAbsolutePaths(settings: ShimSettings): ShimSettings {
  const { connect } = settings;
  if (!connect) return settings;
  const { identityFile, configFile } = connect;
  return {
    ...settings,
    connect: {
      ...connect,
      ...(identityFile !== undefined && { identityFile: [identityFile].flat().map(absolute) }),
      ...(configFile !== undefined && configFile !== "none" && { configFile: absolute(configFile) }),
    },
  };
}

function absolute(path: string): string {
  return /^[~%$]/.test(path) ? path : resolve(path);
}
