// Runs an example: node examples/run.mjs <name> [arguments…]. It is compiled first, because Node 20 knows neither TypeScript
// nor `await using`. The packages are taken as they are installed, and this one as it was built.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const [name, ...args] = process.argv.slice(2);
const outfile = fileURLToPath(new URL(`../.cache/examples/${name}.js`, import.meta.url));
await build({
  entryPoints: [fileURLToPath(new URL(`${name}.ts`, import.meta.url))],
  outfile,
  bundle: true,
  packages: "external",
  platform: "node",
  target: "node20",
  format: "esm",
  logLevel: "warning",
});
const { status } = spawnSync(process.execPath, ["--enable-source-maps", outfile, ...args], { stdio: "inherit" });
process.exitCode = status ?? 1;
