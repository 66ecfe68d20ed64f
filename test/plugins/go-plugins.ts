import { execFile, spawnSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const MODULE = fileURLToPath(new URL("./go", import.meta.url));
/** Hosts in Go, a module of its own that takes the calls' code from the plugins'. */
const HOSTS = fileURLToPath(new URL("../hosts/go", import.meta.url));
/** A provider for Terraform, whose SDK wants another gRPC than the other plugins. */
const PROVIDER = fileURLToPath(new URL("./provider", import.meta.url));
const CACHE = fileURLToPath(new URL("../../.cache/go-plugins", import.meta.url));
const BUILD_TIMEOUT_MS = 5 * 60_000;

/** Same bytes from the same sources wherever they lie, and no need for a C compiler or a libc on the box. */
const BUILD = ["build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w"];
const ENVIRONMENT = { ...process.env, CGO_ENABLED: "0" };

/** The module file for each version of go-plugin. Each says the newest patch, on the same gRPC. */
const MODULE_FILES = { "1.4": "go-1.4.mod", "1.6": "go-1.6.mod", "1.8": "go.mod" } as const;

/** What may differ from one build of a program to the next. */
export interface BuildOptions {
  /**
   * The go-plugin that is built in. 1.4 knows neither a multiplexing broker nor `PLUGIN_UNIX_SOCKET_DIR`, the others do.
   * @default "1.8"
   */
  goPlugin?: GoPluginVersion | undefined;
}

/** A version of go-plugin that plugins can be built with. */
export type GoPluginVersion = keyof typeof MODULE_FILES;

/** All of them, oldest first. */
export const GO_PLUGIN_VERSIONS = Object.keys(MODULE_FILES).sort() as GoPluginVersion[];

let go: boolean | undefined;
const built = new Map<string, Promise<string>>();

/** Whether there is a Go that can build the plugins: one that is not older than their `go.mod` asks for. */
export function hasGo(): boolean {
  go ??= spawnSync("go", ["list", "-m"], { cwd: MODULE, timeout: 60_000, stdio: "ignore" }).status === 0;
  return go;
}

/** The same as `buildProgram` for the plugin `kv`. Bound, because vitest reads the parameters of what `beforeAll` gets. */
export const buildKv: (options?: BuildOptions) => Promise<string> = buildProgram.bind(undefined, "kv");

/** The same for a host in `test/hosts/go`: a program that starts a plugin, whose command is what follows its flags. */
export function buildHost(program: string): Promise<string> {
  return once(`host ${program}`, async () => {
    const directory = join(CACHE, await fingerprint(HOSTS, MODULE), "hosts");
    return build(HOSTS, directory, program, [`./${program}`]);
  });
}

/** The same for Terraform's provider `slumber`. */
export function buildSlumber(): Promise<string> {
  return once("slumber", async () => {
    const directory = join(CACHE, await fingerprint(PROVIDER), "provider");
    return build(PROVIDER, directory, "terraform-provider-slumber", ["."]);
  });
}

/** The plugin of one of go-plugin's own examples, as `buildProgram` builds ours. */
export function buildUpstreamExample(example: "grpc" | "bidirectional"): Promise<string> {
  return buildProgram(`github.com/hashicorp/go-plugin/examples/${example}/plugin-go-grpc`);
}

/**
 * The absolute path of a program in `test/plugins/go`, or of a package that its modules hold, which is built if it was not yet built from these sources. Its
 * file has the program's name. May be called at once from several processes: each puts a whole file in place. A
 * failed build is tried again by the next call.
 *
 * The first build on a machine downloads Go modules.
 */
export function buildProgram(program: string, { goPlugin = "1.8" }: BuildOptions = {}): Promise<string> {
  return once(`${program} ${goPlugin}`, async () => {
    const directory = join(CACHE, await fingerprint(MODULE), goPlugin);
    const source = program.includes("/") ? program : `./${program}`;
    return build(MODULE, directory, program, [`-modfile=${MODULE_FILES[goPlugin]}`, source]);
  });
}

function once(key: string, make: () => Promise<string>): Promise<string> {
  const earlier = built.get(key);
  if (earlier) return earlier;
  const path = make().catch((failure) => {
    built.delete(key);
    throw failure;
  });
  built.set(key, path);
  return path;
}

async function build(module: string, directory: string, program: string, what: readonly string[]): Promise<string> {
  const path = join(directory, program.replaceAll("/", "-"));
  if (existsSync(path)) return path;
  await mkdir(directory, { recursive: true });
  const unfinished = join(directory, `.${randomUUID()}`);
  try {
    await runGo(module, [...BUILD, "-o", unfinished, ...what], BUILD_TIMEOUT_MS);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
  return path;
}

/** Changes with the sources, the versions of the modules, the compiler and the way of building. */
async function fingerprint(...modules: string[]): Promise<string> {
  const hash = createHash("sha256").update(JSON.stringify([BUILD, MODULE_FILES]));
  hash.update(await runGo(MODULE, ["env", "GOVERSION", "GOOS", "GOARCH"], 60_000));
  for (const module of modules) {
    const files = await readdir(module, { recursive: true, withFileTypes: true });
    const paths = files.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
    for (const path of paths.sort()) {
      const content = await readFile(path);
      hash.update(`${path.slice(module.length)} ${content.length}\n`).update(content);
    }
  }
  return hash.digest("hex").slice(0, 16);
}

async function runGo(module: string, args: readonly string[], timeoutMs: number): Promise<string> {
  try {
    const options = { cwd: module, env: ENVIRONMENT, timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 };
    return (await promisify(execFile)("go", args, options)).stdout;
  } catch (failure) {
    throw new Error(explain(module, args, failure as GoFailure, timeoutMs), { cause: failure });
  }
}

/** What `execFile` rejects with. */
interface GoFailure extends Error {
  killed?: boolean;
  stderr?: string;
}

function explain(module: string, args: readonly string[], failure: GoFailure, timeoutMs: number): string {
  const what = `\`go ${args.join(" ")}\` in ${module}`;
  return failure.killed
    ? `${what} took longer than ${timeoutMs} ms. Its first run downloads modules: is their proxy reachable?\n${failure.stderr}`
    : `${what} failed.\n${failure.stderr || failure.message}`;
}
