// Builds dist/: the library file by file with its types, and the executable as one file, because its start-up time is
// paid at every start of a plugin.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const top = dirname(dirname(fileURLToPath(import.meta.url)));
// Built beside dist and put in its place at the end, so that whoever uses it meanwhile finds it whole.
const dist = join(top, `.cache/dist-${process.pid}`);
const require = createRequire(import.meta.url);

rmSync(dist, { recursive: true, force: true });
const tsc = join(dirname(require.resolve("typescript/package.json")), "bin", "tsc");
execFileSync(process.execPath, [tsc, "-p", join(top, "tsconfig.build.json"), "--outDir", dist], { stdio: "inherit" });

// The programs that run on the box, and those that `ssh` runs here, are files of their own; the executable looks for
// them beside itself.
for (const folder of ["exec", "connect/openssh"]) {
  for (const name of readdirSync(join(top, "src", folder)).filter((one) => /\.(sh|py|pl|mjs)$/.test(one))) {
    mkdirSync(join(dist, folder), { recursive: true });
    cpSync(join(top, "src", folder, name), join(dist, folder, name));
    cpSync(join(top, "src", folder, name), join(dist, name));
  }
}

const EXTERNAL = ["ssh2", "p-queue", "debug"];

const options = { bundle: true, platform: "node", target: "node20", format: "esm", logLevel: "warning" };
await build({
  ...options,
  // What several commands have in common, and each command, is a file of its own that is loaded when it is needed; they
  // lie in one directory, where the programs for the box are looked for.
  entryPoints: { "go-plugin-ssh": join(top, "src", "cli", "main.ts") },
  outdir: dist,
  splitting: true,
  chunkNames: "part-[hash]",
  external: EXTERNAL,
  // Commander is CommonJS and asks for Node's own modules in that way.
  banner: { js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);' },
});
chmodSync(join(dist, "go-plugin-ssh.js"), 0o755);

// What an installed shim loads. Hosts start it several times in one command, so it is one file without what it does not
// need, and small, so that it loads quickly. What only some shims need is another one beside it.
await build({
  ...options,
  entryPoints: { shim: join(top, "src", "shim", "main.ts") },
  outdir: dist,
  splitting: true,
  chunkNames: "shim-[hash]",
  external: EXTERNAL,
  minify: true,
});

// The demonstration's plugin travels in one variable of the environment, so it must be small.
await build({
  ...options,
  entryPoints: [join(top, "src", "demo", "plugin", "main.ts")],
  outfile: join(dist, "demo-plugin.js"),
  minify: true,
});

const before = `${dist}-before`;
if (existsSync(join(top, "dist"))) renameSync(join(top, "dist"), before);
renameSync(dist, join(top, "dist"));
rmSync(before, { recursive: true, force: true });
