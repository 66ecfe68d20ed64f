import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { tableOf } from "./markdown.ts";

const TOP = fileURLToPath(new URL("../..", import.meta.url));
const PARITY = readFileSync(join(TOP, "docs", "parity.md"), "utf8");

/** The tables by their first heading, and at least how many rows each has. */
const TABLES: [heading: string, least: number][] = [
  ["upstream", 40],
  ["other upstream", 17],
  ["feature", 37],
  ["case", 20],
];

/** What is wrong with a row, in words; nothing is good. */
function troubleOf([name = "", what = "", ours = "", ...more]: readonly string[]): string[] {
  if (name === "" || what === "" || ours === "" || more.length > 0) return [`${name}: not three full cells`];
  const isReason = /^— \S.{15}/.test(ours);
  return ours.split("<br>").flatMap((part) => {
    const [, path = "", title = ""] = /`(test\/\S+\.ts)` › (.+)$/.exec(part) ?? [];
    if (path === "") return isReason ? [] : [`${name}: neither a test nor a reason`];
    if (!existsSync(join(TOP, path))) return [`${name}: there is no ${path}`];
    return missingTitles(path, title).map((missing) => `${name}: ${path} has no ${missing}`);
  });
}

/** The parts of a title, group and test, that do not stand in a file as text of their own. */
function missingTitles(path: string, title: string): string[] {
  const source = readFileSync(join(TOP, path), "utf8");
  const parts = title.replaceAll("\\|", "|").split(" > ");
  return parts.filter((part) => !['"', "`"].some((quote) => source.includes(`${quote}${part}${quote}`)));
}

describe("docs/parity.md", () => {
  test.each(TABLES)("tells of each %s where it is tested, or why not", (heading, least) => {
    const rows = tableOf(PARITY, heading);
    expect(rows.flatMap(troubleOf)).toEqual([]);
    expect(rows.length).toBeGreaterThanOrEqual(least);
    expect(new Set(rows.map(([name]) => name)).size).toBe(rows.length);
  });

  test("counts its twenty cases", () => {
    const twenty = Array.from({ length: 20 }, (_, n) => `${n + 1}`);
    expect(tableOf(PARITY, "case").map(([number]) => number)).toEqual(twenty);
  });

  test("would be found out", () => {
    const file = "`test/docs/parity.test.ts`";
    expect(troubleOf(["a", "b", `${file} › would be found out`])).toEqual([]);
    const wrong = [
      ["a", "", "c"],
      ["a", "b", "no"],
      ["a", "b", "— why"],
      ["a", "b", "`test/no.ts` › x"],
    ];
    expect(wrong.map((row) => troubleOf(row).length)).toEqual([1, 1, 1, 1]);
    expect(troubleOf(["a", "b", `${file} › docs/parity.md > ${["would", "not"].join(" ")}`])).toHaveLength(1);
  });
});
