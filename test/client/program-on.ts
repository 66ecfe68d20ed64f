import { randomUUID } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Bench } from "../contract/runner-kinds.ts";
import { buildProgram, type GoPluginVersion } from "../plugins/go-plugins.ts";

/** A program of `test/plugins/go` in the bench's directory, where any login can read it. May be asked for at once. */
export async function programOn(bench: Bench, program: string, goPlugin: GoPluginVersion): Promise<string> {
  const directory = goPlugin === "1.8" ? bench.directory : join(bench.directory, `go-plugin-${goPlugin}`);
  const path = join(directory, program);
  const built = await buildProgram(program, { goPlugin });
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  // A file that is being written to cannot be run.
  const unfinished = `${path}-${randomUUID()}`;
  try {
    linkSync(built, unfinished);
  } catch {
    copyFileSync(built, unfinished);
  }
  chmodSync(unfinished, 0o755);
  renameSync(unfinished, path);
  return path;
}
