import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "../contract/runner-kinds.ts";
import { buildProgram, type GoPluginVersion } from "../plugins/go-plugins.ts";

/** A program of `test/plugins/go` in the bench's directory, where any login can read it. */
export async function programOn(bench: Bench, program: string, goPlugin: GoPluginVersion): Promise<string> {
  const directory = goPlugin === "1.8" ? bench.directory : join(bench.directory, `go-plugin-${goPlugin}`);
  const path = join(directory, program);
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const built = await buildProgram(program, { goPlugin });
  try {
    linkSync(built, path);
  } catch {
    copyFileSync(built, path);
  }
  chmodSync(path, 0o755);
  return path;
}
