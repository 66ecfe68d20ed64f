import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { build } from "esbuild";

const TOP = fileURLToPath(new URL("../..", import.meta.url));

/** What a user of `go-plugin-ssh/client` installs, and what a compiler needs to know of Node. */
const INSTALLED = ["@connectrpc", "@bufbuild", "@types"];

/** A project of somebody who has installed this package, in an empty directory. */
export class UserProject {
  readonly directory: string;

  /** Makes the project, with the README's generated service in gen/greeter_pb.ts. */
  constructor(directory: string) {
    this.directory = directory;
    const modules = join(directory, "node_modules");
    mkdirSync(modules, { recursive: true });
    symlinkSync(TOP, join(modules, "go-plugin-ssh"));
    for (const name of INSTALLED) symlinkSync(join(TOP, "node_modules", name), join(modules, name));
    this.write("package.json", JSON.stringify({ type: "module" }));
    const generated = readFileSync(join(TOP, "src", "demo", "gen", "demo_pb.ts"), "utf8");
    this.write("gen/greeter_pb.ts", `${generated}\nexport const Greeter = Demo;\n`);
  }

  /** Writes a file, and gives its path. */
  write(name: string, text: string): string {
    const path = join(this.directory, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  /** What the compiler has to say about all files, in strict mode; nothing is good. */
  async typeErrors(): Promise<string> {
    const compilerOptions = {
      strict: true,
      target: "ES2022",
      lib: ["ES2022", "ESNext.Disposable"],
      module: "NodeNext",
      types: ["node"],
      skipLibCheck: true,
      noEmit: true,
    };
    const config = this.write("tsconfig.json", JSON.stringify({ compilerOptions, include: ["**/*.ts"] }));
    const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
    const args = [join(typescript, "bin", "tsc"), "-p", config];
    return promisify(execFile)(process.execPath, args).then(
      () => "",
      (failure) => `${failure.stdout}${failure.stderr}`,
    );
  }

  /** Compiles a file for Node 20, `await using` too, and gives the path of the outcome. Packages stay outside. */
  async compile(path: string): Promise<string> {
    const outfile = path.replace(/\.ts$/, ".js");
    const options = { bundle: true, packages: "external", platform: "node", format: "esm", target: "node20" } as const;
    await build({ ...options, entryPoints: [path], outfile, logLevel: "silent" });
    return outfile;
  }
}
