import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import type { HashName, SecureConfig } from "../../src/contract/secure-config.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { shells, where } from "./shells.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { Trial, type TrialOptions } from "./trial.ts";

const PLUGIN = '#!/bin/sh\necho "runs as $0 with $*"\n';
const HASHES: HashName[] = ["sha1", "sha256", "sha384", "sha512"];

const directory = temporaryDirectory();
const plugin = join(directory, "a plugin's \\ file");
beforeAll(() => writeFileSync(plugin, PLUGIN, { mode: 0o755 }));

/** What the file with `text` must be. */
function checksumOf(text: string, hash: HashName = "sha256"): SecureConfig {
  return { checksum: createHash(hash).update(text).digest(), hash };
}

/** A PATH with all that we ever ask of a box, and of the programs that make digests only the given one. */
function pathWith(tool: string | undefined): string {
  const path = join(directory, `only-${tool ?? "none"}`);
  beforeAll(() => {
    mkdirSync(path);
    const tools = ["awk", "cat", "grep", "mkdir", "ps", "rm", "setsid", "sleep", "tr", "uname"];
    for (const name of [...tools, ...(tool ? [tool] : [])]) symlinkSync(where(name), join(path, name));
  });
  return path;
}

const tools = ["sha256sum", "shasum", "openssl", ...(hasTier("shells") ? ["busybox"] : [])].filter(has);
const paths = Object.fromEntries(tools.map((tool) => [tool, pathWith(tool)]));
const pathWithNone = pathWith(undefined);

describe.concurrent.each(shells())("a checksum under $name", (shell) => {
  /** Starts a plugin, and gives what it says before it ends, or why it did not start. */
  async function outcome(options: TrialOptions): Promise<string | PluginError> {
    await using trial = new Trial(shell, options);
    try {
      await trial.start();
    } catch (failure) {
      if (!(failure instanceof PluginError)) throw failure;
      await trial.process.stop();
      expect(trial.directories()).toEqual([]);
      return failure;
    }
    await trial.process.exited;
    return String(await trial.output.stdout);
  }

  test.each(HASHES)("lets the right file start, by its %s", async (hash) => {
    const spec = { secureConfig: checksumOf(PLUGIN, hash) };
    // Busybox, alone, has no sha384sum, and nothing else does it there.
    if (hash === "sha384" && shell.name === "busybox alone") {
      const failure = await outcome({ command: [plugin], spec });
      expect(failure).toMatchObject({ code: "unsupported", message: expect.stringContaining("sha384") });
    } else {
      expect(await outcome({ command: [plugin, "a", "b c"], spec })).toBe(`runs as ${plugin} with a b c\n`);
    }
  });

  test("keeps any other file from starting, and tells what it found", async () => {
    const failure = await outcome({ command: [plugin], spec: { secureConfig: checksumOf(`${PLUGIN}#`) } });
    expect(failure).toMatchObject({ code: "checksum-mismatch" });
    const found = createHash("sha256").update(PLUGIN).digest("hex");
    expect(String(failure)).toContain(`checksums did not match: the sha256 of the file is ${found}.`);
  });

  test.each(Object.entries(paths))("is made by %s where there is nothing else", async (_tool, PATH) => {
    const right = { command: [plugin], spec: { secureConfig: checksumOf(PLUGIN) }, session: { PATH } };
    const environment = { PATH: process.env.PATH ?? "" };
    expect(await outcome({ ...right, spec: { ...right.spec, environment } })).toBe(`runs as ${plugin} with \n`);
    const wrong = { ...right, spec: { secureConfig: checksumOf("") } };
    expect(await outcome(wrong)).toMatchObject({ code: "checksum-mismatch" });
  });

  test("cannot be made where there is no program for it, and nothing starts", async () => {
    const session = { PATH: pathWithNone };
    const failure = await outcome({ command: [plugin], spec: { secureConfig: checksumOf(PLUGIN) }, session });
    expect(failure).toMatchObject({ code: "unsupported", hint: expect.stringContaining("openssl") });
    expect(String(failure)).toContain("error verifying checksum: the box has no program that makes a sha256.");
  });

  test("is not disturbed by what is sent to the plugin", async () => {
    const environment = { PATH: "/nowhere", LD_PRELOAD: "/nowhere.so", LD_LIBRARY_PATH: "/nowhere", POSIX: "1" };
    const spec = { secureConfig: checksumOf(PLUGIN), environment };
    expect(await outcome({ command: [plugin], spec })).toBe(`runs as ${plugin} with \n`);
  });

  test.skipIf(!paths.shasum)("is made without the variables that are sent to the plugin", async () => {
    // Perl, and shasum with it, would not start.
    const environment = { PATH: process.env.PATH ?? "", PERL5OPT: "-MNo::Such::Module" };
    const spec = { secureConfig: checksumOf(PLUGIN), environment };
    const session = { PATH: paths.shasum ?? "" };
    expect(await outcome({ command: [plugin], spec, session })).toBe(`runs as ${plugin} with \n`);
  });

  test("is of the file that is found in the plugin's PATH, from where it runs, and of no other", async () => {
    const base = join(directory, shell.name.replaceAll(/\W/g, ""));
    for (const name of ["first", "second"]) mkdirSync(join(base, name), { recursive: true });
    // The first cannot be executed for want of an interpreter; without a checksum some shells then take the second.
    writeFileSync(join(base, "first", "my-plugin"), "#!/no/such/interpreter\n", { mode: 0o755 });
    copyFileSync(plugin, join(base, "second", "my-plugin"));
    const environment = { PATH: ["first", "second"].map((name) => join(base, name)).join(":") };
    const find = (secureConfig: SecureConfig) =>
      outcome({ command: ["my-plugin"], spec: { secureConfig, environment } });
    expect(await find(checksumOf(PLUGIN))).toMatchObject({ code: "checksum-mismatch" });
    expect(await find(checksumOf("#!/no/such/interpreter\n"))).toBe("");
    rmSync(join(base, "first", "my-plugin"));
    expect(await find(checksumOf(PLUGIN))).toBe(`runs as ${join(base, "second", "my-plugin")} with \n`);

    const spec = { secureConfig: checksumOf(PLUGIN), directory: join(base, "second") };
    expect(await outcome({ command: ["./my-plugin", "x"], spec })).toMatch(
      /^runs as (\.|.*\/second)\/my-plugin with x\n$/,
    );
  });

  test("is refused for a word that the shell answers itself", async () => {
    const failure = await outcome({ command: ["eval"], spec: { secureConfig: checksumOf(PLUGIN) } });
    expect(failure).toMatchObject({ code: "plugin-not-started", hint: expect.stringContaining("full path") });
    expect(String(failure)).toContain("error verifying checksum: ");
  });
});
