import { rm, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { PluginError } from "../../contract/errors.ts";
import { isOurs } from "./install.ts";

/**
 * Removes an installed shim.
 *
 * @throws {PluginError} `not-found` if nothing is there; `bad-options` if it is something else
 */
export async function uninstallShim(path: string): Promise<void> {
  const place = resolve(path);
  const found = await stat(place).catch(() => undefined);
  if (!found) throw new PluginError("not-found", `There is nothing at ${JSON.stringify(place)}.`);
  if (!found.isFile() || !(await isOurs(place))) {
    throw new PluginError("bad-options", `${JSON.stringify(place)} is no shim of ours, so it stays.`);
  }
  await rm(place);
}
