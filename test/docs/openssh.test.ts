import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { KEYWORDS, type Keyword } from "../../src/connect/config/keywords.ts";
import { sshSays } from "../connect/config/ssh-says.ts";
import { hasTier } from "../tiers/tiers.ts";
import { tableOf } from "./markdown.ts";

const TEXT = readFileSync(fileURLToPath(new URL("../../docs/openssh.md", import.meta.url)), "utf8");

const WORDS: Record<Keyword["treatment"], string> = {
  honoured: "honoured",
  read: "read",
  openssh: "by `ssh`",
  said: "not done, and said",
  nothing: "of no use",
};

describe("docs/openssh.md", () => {
  test("tells of each keyword what becomes of it", () => {
    const rows = KEYWORDS.map(({ name, treatment, option, bySsh, note }) => [
      name,
      bySsh ? "by `ssh`, else said" : WORDS[treatment],
      option === undefined ? "" : `\`${option}\``,
      note,
    ]);
    expect(tableOf(TEXT, "keyword")).toEqual(rows);
  });

  test.skipIf(!hasTier("openssh"))("leaves out no keyword that this machine's ssh knows", () => {
    const known = new Set(KEYWORDS.map(({ name }) => name.toLowerCase()));
    const told = [...(sshSays(["-F", "none", "--", "localhost"]) ?? new Map()).keys()];
    expect(told.length).toBeGreaterThan(60);
    // The first line is what was asked, and no setting.
    expect(told.filter((keyword) => keyword !== "host" && !known.has(keyword))).toEqual([]);
  });
});
