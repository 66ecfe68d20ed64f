import { execFileSync, type StdioOptions } from "node:child_process";
import { describe, expect, it } from "vitest";
import { type AlgorithmChoice, algorithmList } from "../../src/connect/algorithm-list.ts";
import { hasTier } from "../tiers/tiers.ts";
import { Random } from "../tools/random.ts";
import { failureOf } from "./failure-of.ts";

const CHOICE: AlgorithmChoice = { defaults: ["aa", "ab", "ba"], supported: ["aa", "ab", "ba", "bb", "c"] };

describe("algorithmList", () => {
  it.each<[string, string[], string[]]>([
    ["bb,aa", ["bb", "aa"], []],
    ["bb,bb", ["bb"], []],
    ["b*", ["ba", "bb"], []],
    ["+c,b?", ["aa", "ab", "ba", "c", "bb"], []],
    ["^c,ba", ["c", "ba", "aa", "ab"], []],
    ["-a*", ["ba"], []],
    ["-a*,!ab", ["ab", "ba"], []],
    ["-nobody", ["aa", "ab", "ba"], []],
    ["new,aa,newer*", ["aa"], ["new", "newer*"]],
    ["+new", ["aa", "ab", "ba"], ["new"]],
    ["^new", ["aa", "ab", "ba"], ["new"]],
    ["+", ["aa", "ab", "ba"], []],
    ["+AA", ["aa", "ab", "ba"], ["AA"]],
  ])("reads %s", (text, names, unknown) => {
    expect(algorithmList("ciphers", text, CHOICE)).toEqual({ names, unknown });
  });

  it.each(["", "new", "-*", "!aa"])("refuses %j, which leaves nothing, and tells what there is", (text) => {
    const failure = failureOf(() => algorithmList("ciphers", text, CHOICE));
    expect(failure.code).toBe("config-error");
    expect(failure.message).toContain("`ciphers`");
    expect(failure.message).toContain("aa, ab, ba, bb, c");
  });
});

describe.runIf(hasTier("openssh"))("algorithmList beside `ssh -G`", () => {
  const kinds = [
    { keyword: "Ciphers" },
    { keyword: "MACs" },
    { keyword: "KexAlgorithms" },
    { keyword: "HostKeyAlgorithms", wild: true },
    { keyword: "PubkeyAcceptedAlgorithms", wild: true },
  ];

  it.each(kinds)("says the same for $keyword", ({ keyword, wild = false }) => {
    const supported = query(keyword);
    const defaults = effective(keyword) as string[];
    const random = new Random(keyword.length);
    for (let round = 0; round < 25; round++) {
      const text = randomList(random, supported, wild);
      // OpenSSH goes on with a list that leaves nothing, and fails later.
      const theirs = effective(keyword, text) ?? [];
      const ours = theirs.length > 0 ? algorithmList(keyword, text, { defaults, supported }).names : [];
      expect({ text, list: ours }).toEqual({ text, list: theirs });
    }
  });

  it.each(["-*", "-aes*,chacha*", "+aes128-cbc", "^aes256-cbc,aes256-ctr", "aes128-ctr,aes128-ctr"])(
    "says the same for %s",
    (text) => {
      const choice = { defaults: effective("Ciphers") as string[], supported: query("Ciphers") };
      const theirs = effective("Ciphers", text) as string[];
      if (theirs.length > 0) expect(algorithmList("Ciphers", text, choice).names).toEqual(theirs);
      else expect(failureOf(() => algorithmList("Ciphers", text, choice)).code).toBe("config-error");
    },
  );
});

/** A list such as people write them: a few names or patterns, with or without a sign. */
function randomList(random: Random, supported: readonly string[], wild: boolean): string {
  const sign = random.pick(["", "+", "-", "^"]);
  const items = random.times(1 + random.below(4), () => {
    const name = random.pick(supported);
    if (sign !== "-" && !wild) return name;
    return random.pick([name, `${name.slice(0, 1 + random.below(6))}*`, `*${name.slice(-3)}`, `${name.slice(0, -1)}?`]);
  });
  return sign + items.join(",");
}

function query(what: string): string[] {
  return execFileSync("ssh", ["-Q", what], { encoding: "utf8" }).trim().split("\n");
}

/** What OpenSSH makes of a list; `undefined` if it does not say. */
function effective(keyword: string, text?: string): string[] | undefined {
  const option = text === undefined ? [] : ["-o", `${keyword}=${text}`];
  // It warns on stderr that there is no terminal.
  const stdio: StdioOptions = ["ignore", "pipe", "ignore"];
  const said = execFileSync("ssh", ["-F", "none", ...option, "-G", "box"], { encoding: "utf8", stdio });
  const line = said.split("\n").find((one) => one.startsWith(`${keyword.toLowerCase()} `));
  return line
    ?.split(" ")[1]
    ?.split(",")
    .filter((name) => name !== "");
}
