import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** Host, namespace, name, version and platform: how deep a mirror in the file system is. */
const DEPTH = 5;

/**
 * A provider of Terraform's on this machine: what GO_PLUGIN_SSH_TEST_PROVIDER names, or the first one in the
 * directories where Terraform looks for mirrors, or in one below `/opt`; `undefined` if there is none.
 *
 * @param type only one of this type, as in the name of its program. @default any
 */
export function findProvider(type = ""): string | undefined {
  const named = process.env.GO_PLUGIN_SSH_TEST_PROVIDER;
  if (named) return named;
  const home = homedir();
  const places = [
    process.env.TF_PLUGIN_CACHE_DIR ?? "",
    join(home, ".terraform.d/plugins"),
    join(home, ".local/share/terraform/plugins"),
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    ...list("/opt").map(({ name }) => join("/opt", name)),
  ];
  for (const place of places) {
    const found = place === "" ? undefined : search(place, `terraform-provider-${type}`, DEPTH);
    if (found) return found;
  }
  return undefined;
}

function search(directory: string, beginning: string, depth: number): string | undefined {
  const entries = list(directory);
  const program = entries.find((entry) => !entry.isDirectory() && entry.name.startsWith(beginning));
  if (program) return join(directory, program.name);
  if (depth === 0) return undefined;
  for (const { name } of entries.filter((entry) => entry.isDirectory())) {
    const found = search(join(directory, name), beginning, depth - 1);
    if (found) return found;
  }
  return undefined;
}

function list(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return [];
  }
}
