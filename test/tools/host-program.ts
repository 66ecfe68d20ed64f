import { createHash, randomUUID } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const TOP = fileURLToPath(new URL("../..", import.meta.url));

/** Where a host in a process of its own finds the library. */
export interface Library {
  /** The module `go-plugin-ssh`. */
  readonly index: string;
  /** The module `go-plugin-ssh/client`. */
  readonly client: string;
}

/** The library in a build, for `import()`. */
export function libraryIn(dist: string): Library {
  const module = (name: string) => pathToFileURL(join(dist, name)).href;
  return { index: module("index.js"), client: module("client.js") };
}

/**
 * A program of test/hosts in one file that Node can run, with the messages of the test plugins in it. The packages that
 * it imports are the project's, the same ones that the built library finds; the library itself is not in it.
 */
export async function hostProgram(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [join(TOP, "test", "hosts", `${name}.ts`)],
    bundle: true,
    packages: "external",
    platform: "node",
    target: "node20",
    format: "esm",
    write: false,
    logLevel: "warning",
  });
  const text = outputFiles[0]?.text ?? "";
  const directory = join(TOP, ".cache", "hosts");
  const path = join(directory, `${name}-${createHash("sha256").update(text).digest("hex").slice(0, 12)}.mjs`);
  await mkdir(directory, { recursive: true });
  // Several tests may do this at once, also in one process, and each must find a whole file.
  const unfinished = `${path}.${randomUUID()}`;
  await writeFile(unfinished, text);
  await rename(unfinished, path);
  return path;
}
