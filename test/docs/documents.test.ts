import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import packageFile from "../../package.json" with { type: "json" };
import { TIERS } from "../tiers/tiers.ts";
import { anchorsOf, blocksOf, codeWords, linksOf, shellLinesOf, tableOf } from "./markdown.ts";

const TOP = fileURLToPath(new URL("../..", import.meta.url));
const read = (path: string) => readFileSync(join(TOP, path), "utf8");
const DOCUMENTS = [".", "docs", "examples"].flatMap((folder) =>
  readdirSync(join(TOP, folder))
    .filter((name) => name.endsWith(".md"))
    .map((name) => join(folder, name)),
);

describe.each(DOCUMENTS)("%s", (path) => {
  const text = read(path);

  test("links to what is there", () => {
    const broken = linksOf(text)
      .filter((to) => !/^https:\/\//.test(to))
      .filter((to) => {
        const [file = "", anchor] = to.split("#");
        const target = file === "" ? join(TOP, path) : resolve(TOP, dirname(path), file);
        if (!target.startsWith(TOP) || !existsSync(target)) return true;
        return anchor !== undefined && !anchorsOf(readFileSync(target, "utf8")).includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  test("names files that are there", () => {
    const named = codeWords(text).filter((word) => /^[\w./-]+\/[\w.-]+\.(ts|mjs|sh|json|md)$/.test(word));
    const missing = named.filter((name) => !["", "src"].some((folder) => existsSync(join(TOP, folder, name))));
    expect(missing).toEqual([]);
  });

  test("names npm scripts that there are", () => {
    const named = [...text.matchAll(/npm run ([\w:-]+)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => !(name in packageFile.scripts))).toEqual([]);
  });
});

test("CONTRIBUTING.md tells every tier", () => {
  const told = tableOf(read("CONTRIBUTING.md"), "tier").flatMap(([names = ""]) => names.split(", "));
  expect(told).toEqual(TIERS.map(({ name }) => name));
});

test("CONTRIBUTING.md's commands are these", () => {
  expect(shellLinesOf(read("CONTRIBUTING.md"))).toEqual(["npm ci", "npm test", "npm run demo"]);
});

test("the README and docs/architecture.md show the same rooms", () => {
  const drawings = ["README.md", "docs/architecture.md"].map((path) => {
    const text = blocksOf(read(path)).find(({ language }) => language === "text")?.text ?? "";
    return text.split("\n").slice(0, 3);
  });
  expect(drawings[0]?.join("")).toContain("connect │──▶│ exec");
  expect(drawings[1]).toEqual(drawings[0]);
});

test("docs/architecture.md has a row for every folder of src", () => {
  const told = tableOf(read("docs/architecture.md"), "folder").map(([name = ""]) => name.replace(/^`|\/`$/g, ""));
  const folders = readdirSync(join(TOP, "src"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  expect(told.toSorted()).toEqual(folders.map(({ name }) => name).toSorted());
});
