import { rm } from "node:fs/promises";
import { resolve } from "node:path";
import { PluginError } from "../../contract/errors.ts";
import { whatIsAt } from "./install.ts";

/**
 * Removes an installed shim.
 *
 * @throws {PluginError} `not-found` if nothing is there; `bad-options` if it is something else, a link for example;
 *   `config-error` if that cannot be known
 */
export async function uninstallShim(path: string): Promise<void> {
  const place = resolve(path);
  const found = await whatIsAt(place);
  if (!found) throw new PluginError("not-found", `There is nothing at ${JSON.stringify(place)}.`);
  if (found === "other") {
    throw new PluginError("bad-options", `${JSON.stringify(place)} is no shim of ours, so it stays.`);
  }
  await rm(place);
}
