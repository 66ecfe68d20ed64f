// Compares the ways to a plugin: npm run bench -- --help. It is compiled first, because Node 20 knows no TypeScript; each
// file keeps the address that it has in the sources, so that it finds what lies beside it there.
import { spawn } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const top = fileURLToPath(new URL("..", import.meta.url));
const outdir = join(top, ".cache", "bench", String(process.pid));

const addresses = {
  name: "addresses",
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const text = await readFile(path, "utf8");
      return { loader: "ts", contents: text.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(path).href)) };
    });
  },
};

await build({
  entryPoints: [join(top, "bench", "main.ts"), join(top, "bench", "delay.ts")],
  outdir,
  bundle: true,
  packages: "external",
  platform: "node",
  target: "node20",
  format: "esm",
  sourcemap: "inline",
  logLevel: "warning",
  plugins: [addresses],
});
// Node's own options for a profile are Node's.
const isNodes = (word) => word.startsWith("--cpu-prof");
const given = process.argv.slice(2);
const args = [
  ...given.filter(isNodes),
  "--enable-source-maps",
  "--expose-gc",
  join(outdir, "main.js"),
  ...given.filter((word) => !isNodes(word)),
];
const child = spawn(process.execPath, args, { stdio: "inherit" });
// Ctrl-C reaches both; the bench ends what it has started, and we end after it.
for (const name of ["SIGINT", "SIGTERM"]) process.on(name, () => child.kill(name));
child.on("exit", async (code) => {
  await rm(outdir, { recursive: true, force: true });
  process.exitCode = code ?? 1;
});
