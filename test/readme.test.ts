import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import packageFile from "../package.json" with { type: "json" };
import { blocksOf, codeWords, shellLinesOf, tableOf } from "./docs/markdown.ts";
import { defaultsOf, ERROR_CODES } from "./docs/source-facts.ts";
import { UserProject } from "./docs/user-project.ts";
import { startEmbedded } from "./servers/embedded.ts";
import { built } from "./tools/built.ts";
import { runNode, start } from "./tools/run-node.ts";
import { openUserHome } from "./tools/user-home.ts";

const TOP = fileURLToPath(new URL("..", import.meta.url));
const README = readFileSync(join(TOP, "README.md"), "utf8");
const BLOCKS = blocksOf(README);
const CODE = BLOCKS.filter(({ language }) => language === "ts");
const OPTIONS = tableOf(README, "option");

/** The words of the README that stand for something of the reader's. All else runs as it is. */
const DESTINATION = "deploy@build-7";
const PLUGIN = "/opt/greeter-plugin";

/** For programs that build. */
const LIMIT_MS = 3 * 60_000;

/** What each block of code prints, in their order. */
const PRINTS = [
  /^Hello from here, this is process \d+ on \S+, Node v[\d.]+\.\n$/,
  /^Welcome, process \d+\.\n\{\s+kind: 'killed',\s+exit: \{\s+code: 0,\s+signal: null\s+\}\s+\}\n$/,
  /^(\S+@127\.0\.0\.1:\d+)#(\d+) \1#(?!\2 )\d+ 1\n$/,
  /^\{\s+network: 'unix',\s+path: '\S+\/gps-\w+\/plugin\d+-\w+'\s+\}\n$/,
];

describe("the README", () => {
  test("comes to the point, and to an end", () => {
    expect(BLOCKS[0]).toMatchObject({ language: "ts" });
    expect(BLOCKS[0]?.line).toBeLessThanOrEqual(20);
    expect(README.split("\n").length).toBeLessThanOrEqual(200);
  });

  test("has code in languages that this test can prove", () => {
    expect(BLOCKS.map(({ language }) => language).filter((name) => !["ts", "sh", "text"].includes(name))).toEqual([]);
    expect(CODE).toHaveLength(PRINTS.length);
  });

  test("knows every error code, and no other", () => {
    const codes = tableOf(README, "code").flatMap(([codes = ""]) => codeWords(codes));
    expect(codes.toSorted()).toEqual(ERROR_CODES.toSorted());
  });

  test("tells the defaults of the options as the types do", () => {
    const defaults = defaultsOf("connect/connect-options", "runner/plugin-options", "runner/ssh-runner");
    for (const [names = "", , told = ""] of OPTIONS) {
      const numbers = codeWords(names).flatMap((name) => {
        const value = Number(defaults.get(name)?.replaceAll("_", "") ?? "");
        return value ? [name.endsWith("Ms") ? `${value / 1000} s` : `${value}`] : [];
      });
      expect(told.match(/\d+( s)?/g) ?? [], names).toEqual(numbers);
    }
  });
});

describe("the README's code", () => {
  let project: UserProject;
  beforeAll(() => {
    built();
    project = new UserProject(mkdtempSync(join(tmpdir(), "gps-readme-")));
  });
  afterAll(() => rmSync(project.directory, { recursive: true, force: true }));

  test("has no type errors, and every option of the table is one", { timeout: LIMIT_MS }, async () => {
    const names = OPTIONS.flatMap(([names = ""]) => codeWords(names));
    expect(names.length).toBeGreaterThan(10);
    const text = `import type { ConnectOptions, ForwardOptions, PluginOptions, SpareOptions } from "go-plugin-ssh";
export const names: (keyof (ConnectOptions & ForwardOptions & PluginOptions & SpareOptions))[] = ${JSON.stringify(names)};\n`;
    project.write("options.ts", text);
    for (const [n, block] of CODE.entries()) project.write(`block-${n}.ts`, block.text);
    expect(await project.typeErrors()).toBe("");
  });

  test.each(CODE.map(({ line }, n) => ({ line, n })))("in line $line runs", async ({ n }) => {
    await using server = await startEmbedded();
    using user = await openUserHome({ dist: built(), server });
    const destination = `ssh://${server.user}@${server.host}:${server.port}`;
    const text = CODE[n]?.text ?? "";
    // Without these words it would run something else, or somewhere else.
    expect(text).toContain(`destination: "${DESTINATION}"`);
    expect(text).toContain(`command: ["${PLUGIN}"]`);
    const changed = text.replaceAll(DESTINATION, destination).replaceAll(PLUGIN, user.plugin);
    // A host gives its plugin two seconds to end, and a busy machine may hold that up.
    const patient = changed.replaceAll("new Client({", "new Client({ shutdownTimeoutMs: 30_000,");
    const destinations = [...changed.matchAll(/destination: (\S+)(?=[,\s])/g)].map(([, to]) => to);
    expect(new Set(destinations)).toEqual(new Set([`"${destination}",`]));

    const compiled = await project.compile(project.write(`block-${n}.ts`, patient));
    const { code, stdout, stderr } = await runNode([compiled], { env: user.env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(PRINTS[n] ?? /nothing/);
    expect(server.embedded.accepted).toBe(1);
  });
});

describe("the README's shell lines", () => {
  const installable = [packageFile.name, ...Object.keys(packageFile.peerDependencies)];
  const lines = shellLinesOf(README);

  test("install this package and all its peers", () => {
    const named = lines.flatMap((line) => /^npm install (.*)$/.exec(line)?.[1]?.split(" ") ?? []);
    expect(named.toSorted()).toEqual(installable.toSorted());
    expect(Object.keys(packageFile.peerDependenciesMeta)).toEqual(Object.keys(packageFile.peerDependencies));
  });

  test.each(lines)("%s", { timeout: LIMIT_MS }, async (line) => {
    if (line.startsWith("npm install ")) return;
    if (line === "npm ci && npm test") return expect(packageFile.scripts.test).toContain("npm run unit");
    if (line === "npm ci && npm run demo") return runDemo();
    if (line.startsWith("go-plugin-ssh shim --install ")) return installShim(line.split(" ").slice(1));
    throw new Error("This test does not know how to prove that line.");
  });
});

/** Installs a shim where somebody is, and removes it again. */
async function installShim(words: readonly string[]): Promise<void> {
  using user = await openUserHome({ dist: built() });
  const run = (args: readonly string[]) => runNode([CLI(), ...args], { env: user.env, cwd: user.directory });
  const shim = join(user.directory, words[2] ?? "");
  expect(await run(words)).toMatchObject({ code: 0, stderr: "", stdout: expect.stringContaining("dev_overrides") });
  expect(statSync(shim).mode & 0o111).toBe(0o111);
  expect(await run(["shim", "--uninstall", shim])).toMatchObject({ code: 0 });
  expect(existsSync(shim)).toBe(false);
}

const CLI = () => join(built(), "go-plugin-ssh.js");

/** Runs `npm run demo` as after `npm ci`, in a copy, because it builds anew. */
async function runDemo(): Promise<void> {
  using user = await openUserHome({ dist: built() });
  const copy = join(user.directory, "copy");
  for (const name of ["src", "scripts", "package.json", "tsconfig.json", "tsconfig.build.json"]) {
    cpSync(join(TOP, name), join(copy, name), { recursive: true });
  }
  symlinkSync(join(TOP, "node_modules"), join(copy, "node_modules"));
  const env = { ...user.env, npm_config_update_notifier: "false" };
  const { code, stdout, stderr } = await start("npm", ["run", "demo"], { env, cwd: copy, timeoutMs: LIMIT_MS }).ended;
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toContain("The plugin answered: Hello from the host");
  expect(stdout).toContain("Nothing is left behind on either side.");
}
