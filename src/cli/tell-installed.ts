import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import packageFile from "../../package.json" with { type: "json" };
import { advice } from "../shim/install/advice.ts";
import { installShim } from "../shim/install/install.ts";
import type { ShimSettings } from "../shim/settings.ts";
import { quoted } from "./quoted.ts";

/** The part of the executable that an installed shim loads; the build puts it beside us. */
const MODULE = new URL("./shim.js", import.meta.url);

/** Installs a shim and prints what to do with it. */
export async function tellInstalled(
  path: string,
  settings: ShimSettings,
  { node, json }: { node?: string; json?: true },
): Promise<void> {
  const again = ["go-plugin-ssh", ...process.argv.slice(2)].map(quoted).join(" ");
  const module = MODULE.href;
  const installed = await installShim({ path, settings, node, module, release: packageFile.version, again });
  const sha256 = createHash("sha256").update(readFileSync(installed.path)).digest("hex");
  for (const warning of installed.warnings) process.stderr.write(`go-plugin-ssh: ${warning}\n`);
  process.stdout.write(
    json
      ? `${JSON.stringify({ ...installed, module, sha256 })}\n`
      : `Installed ${installed.path}.\n\n${advice(installed.path, sha256)}`,
  );
}
