import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";

const TOP = fileURLToPath(new URL("../..", import.meta.url));
const DIST = join(TOP, "dist");

/** What goes into the build. */
const SOURCES = ["src", "scripts/build.mjs", "package.json", "tsconfig.json", "tsconfig.build.json"];

/** How a test file says that it needs the build: it imports `test/tools/built.ts`. */
const NEEDS_BUILD = /from "[^"]*\/built\.ts"/;

declare module "vitest" {
  interface ProvidedContext {
    /** Where the build is, or why there is none. */
    build: { dist: string } | { failure: string };
  }
}

/**
 * Before the first test: dist/ is there and not older than its sources, if a test of this run needs it. A build that
 * fails is told to these tests, so that the others can run.
 */
export default function setup(project: TestProject): void {
  const files = project.vitest.state.getPaths();
  if (!files.some((file) => NEEDS_BUILD.test(readFileSync(file, "utf8")))) return;
  project.provide("build", isFresh() ? { dist: DIST } : build());
}

function build(): { dist: string } | { failure: string } {
  try {
    execFileSync(process.execPath, [join(TOP, "scripts", "build.mjs")], { encoding: "utf8", stdio: "pipe" });
    return { dist: DIST };
  } catch (failure) {
    const { stdout, stderr, message } = failure as { stdout?: string; stderr?: string; message: string };
    return { failure: `The build failed.\n${stdout ?? ""}${stderr ?? message}` };
  }
}

/** Whether nothing that was built is older than a source. The plugin is built last. */
function isFresh(): boolean {
  const built = times(DIST);
  const isWhole = times(join(DIST, "demo-plugin.js")).length > 0;
  return isWhole && Math.min(...built) >= Math.max(...SOURCES.flatMap((name) => times(join(TOP, name))));
}

/** When a file, or each file below a directory, was written last; nothing for what is not there. */
function times(path: string): number[] {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return [];
  if (!found.isDirectory()) return [found.mtimeMs];
  return readdirSync(path).flatMap((name) => times(join(path, name)));
}
