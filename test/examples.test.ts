import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import packageFile from "../package.json" with { type: "json" };
import { linksOf, shellLinesOf } from "./docs/markdown.ts";
import { startEmbedded } from "./servers/embedded.ts";
import { built } from "./tools/built.ts";
import { runNode } from "./tools/run-node.ts";
import { openUserHome } from "./tools/user-home.ts";

const EXAMPLES = fileURLToPath(new URL("../examples", import.meta.url));
const README = readFileSync(join(EXAMPLES, "README.md"), "utf8");

/** What each example prints, and how often it logs in. */
const PRINTS: Record<string, [prints: RegExp, logins: number]> = {
  call: [/^Hello from an example, this is process \d+ on \S+, Node v[\d.]+\.\nReceived 102400 characters\.\n$/, 1],
  callback: [/^Hello process \d+, this is the host\.\n$/, 1],
  pool: [/^(Hello from client [123], this is process \d+ on .*\n){3}Connections: 1\.\n$/, 1],
  "grpc-js": [/^Hello from grpc-js, this is process \d+ on .*\n$/, 1],
  local: [/^Hello from this machine, this is process \d+ on .*\n$/, 0],
};

describe("the examples", () => {
  beforeAll(() => void built());

  test("are all run here, and all described", () => {
    const files = readdirSync(EXAMPLES).filter((name) => name.endsWith(".ts"));
    expect(files.map((name) => name.replace(/\.ts$/, "")).toSorted()).toEqual(Object.keys(PRINTS).toSorted());
    expect(linksOf(README).toSorted()).toEqual(files.toSorted());
  });

  test("are run as their README says", () => {
    expect(shellLinesOf(README)).toEqual([
      "npm ci && npm run build",
      "scp dist/demo-plugin.js build-7:",
      "node examples/run.mjs call build-7 node demo-plugin.js",
    ]);
    expect(packageFile.scripts).toHaveProperty("build");
  });

  test.each(Object.keys(PRINTS))("%s", async (name) => {
    const [prints, logins] = PRINTS[name] ?? [/nothing/, -1];
    await using server = await startEmbedded();
    using user = await openUserHome({ dist: built(), server });
    const box = name === "local" ? [] : [`ssh://${server.user}@${server.host}:${server.port}`];
    const run = [join(EXAMPLES, "run.mjs"), name, ...box, user.plugin, "an argument"];
    const { code, stdout, stderr } = await runNode(run, { env: user.env });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toMatch(prints);
    expect(server.embedded.accepted).toBe(logins);
  });

  test.each(Object.keys(PRINTS))("%s says what it needs", async (name) => {
    using user = await openUserHome({ dist: built() });
    const { code, stderr } = await runNode([join(EXAMPLES, "run.mjs"), name], { env: user.env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/TypeError: Say (where and )?what: (<destination> )?<program> \[arguments…\]/);
  });
});
