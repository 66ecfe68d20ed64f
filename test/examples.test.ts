import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import packageFile from "../package.json" with { type: "json" };
import { linksOf, shellLinesOf } from "./docs/markdown.ts";
import { buildUpstreamExample } from "./plugins/go-plugins.ts";
import { startEmbedded } from "./servers/embedded.ts";
import { hasTier } from "./tiers/tiers.ts";
import { built } from "./tools/built.ts";
import { findPython } from "./tools/python.ts";
import { runNode } from "./tools/run-node.ts";
import { openUserHome, type UserHome } from "./tools/user-home.ts";

const EXAMPLES = fileURLToPath(new URL("../examples", import.meta.url));
const README = readFileSync(join(EXAMPLES, "README.md"), "utf8");
const LINE = /^\{"name":"host.*\}\n/gm;

interface Example {
  prints: RegExp;
  /** Whose plugin it hosts. @default the demonstration's */
  plugin?: "grpc" | "bidirectional" | "python";
  /** It hosts a plugin on this machine. */
  isLocal?: true;
}

const EXPECTED: Record<string, Example> = {
  call: {
    prints: /^Hello from an example, this is process \d+ on \S+, Node v[\d.]+\.\nReceived 102400 characters\.\n$/,
  },
  stream: { prints: /^All of it: 5120000 characters\.\nEnough after 1024\.\nGiven up: Canceled\.\n$/ },
  callback: { prints: /^Hello process \d+, this is the host\.\n$/ },
  "key-value": { plugin: "grpc", prints: /^Hello\n\nWritten from plugin-go-grpc\n$/ },
  multiplex: {
    plugin: "bidirectional",
    prints: /^The plugin asks for 0 \+ 40\.\nThe plugin asks for 40 \+ 2\.\nIt counts 42\.\n$/,
  },
  pool: { prints: /^(Hello from client [123], this is process \d+ on .*\n){3}Connections: 1\.\n$/ },
  "grpc-js": { prints: /^Hello from grpc-js, this is process \d+ on .*\n$/ },
  logger: {
    prints: /^(\{.*\}\n)*\{"name":"host","level":"debug","message":"using plugin","version":1\}\n(\{.*\}\n)*$/,
  },
  python: {
    plugin: "python",
    prints:
      /^Hello from Node, this is process \d+ on \S+, Python 3[\d.]+\.\nReceived 102400 characters\.\nIt left: \{ code: 0, signal: null \}\n$/,
  },
  local: { isLocal: true, prints: /^Hello from this machine, this is process \d+ on .*\n$/ },
  reattach: {
    isLocal: true,
    prints:
      /^\{"protocol":"grpc","protocolVersion":1,"addr":\{"network":"unix","path":"\/\S+"\},"pid":(\d+),"processStartTime":"\S+"\}\nHello from a second host, this is process \1 on .*\nThe first host was told: exited\.\n$/,
  },
};

/** What an example is told to start; a plugin that leaves files where it runs leaves them in the home. */
async function commandOf(plugin: Example["plugin"], user: UserHome): Promise<string[]> {
  if (plugin === undefined) return [user.plugin, "an argument"];
  if (plugin === "python") return [findPython() ?? "", join(EXAMPLES, "python", "plugin.py")];
  const wrapper = join(user.directory, "runs-at-home");
  mkdirSync(user.home, { recursive: true });
  writeFileSync(wrapper, `#!/bin/sh\ncd '${user.home}'\nexec '${await buildUpstreamExample(plugin)}'\n`, {
    mode: 0o755,
  });
  return [wrapper];
}

async function run(name: string, plugin: Example["plugin"], isLocal = false) {
  await using server = await startEmbedded();
  using user = await openUserHome({ dist: built(), server });
  const box = isLocal ? [] : [`ssh://${server.user}@${server.host}:${server.port}`];
  const args = [join(EXAMPLES, "run.mjs"), name, ...box, ...(await commandOf(plugin, user))];
  const { code, stdout, stderr } = await runNode(args, { env: user.env });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(server.embedded.accepted).toBe(isLocal ? 0 : 1);
  return stdout;
}

describe("the examples", () => {
  beforeAll(async () => {
    built();
    if (hasTier("go")) await Promise.all([buildUpstreamExample("grpc"), buildUpstreamExample("bidirectional")]);
  }, 6 * 60_000);

  test("are all run here, and all described", () => {
    const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".ts"));
    expect(files.map((name) => name.replace(/\.ts$/, "")).toSorted()).toEqual(Object.keys(EXPECTED).toSorted());
    const linked = linksOf(README).filter((to) => !to.startsWith("https:"));
    expect(linked.toSorted()).toEqual([...files, "python/plugin.py"].toSorted());
  });

  test("are run as their README says", () => {
    expect(shellLinesOf(README)).toEqual([
      "npm ci && npm run build",
      "scp dist/demo-plugin.js build-7:",
      "node examples/run.mjs call build-7 node demo-plugin.js",
    ]);
    expect(packageFile.scripts).toHaveProperty("build");
  });

  for (const [name, { prints, plugin, isLocal }] of Object.entries(EXPECTED)) {
    const tier = plugin === undefined ? "embedded" : plugin === "python" ? "python" : "go";
    test.skipIf(!hasTier(tier))(name, async () => expect(await run(name, plugin, isLocal)).toMatch(prints));
  }

  test.skipIf(!hasTier("python"))("logger, with a plugin that logs", async () => {
    const lines = (await run("logger", "python")).match(LINE)?.map((line) => JSON.parse(line)) ?? [];
    const name = expect.stringMatching(/^host\..*python/);
    const timestamp = expect.stringMatching(/^20\d\d-/);
    expect(lines).toContainEqual({ name, level: "info", message: "greeting", timestamp, to: "from an example" });
  });

  test.each(Object.keys(EXPECTED))("%s says what it needs", async (name) => {
    using user = await openUserHome({ dist: built() });
    const { code, stderr } = await runNode([join(EXAMPLES, "run.mjs"), name], { env: user.env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/TypeError: Say (where and )?what: (<destination> )?<program> \[arguments…\]/);
  });
});
