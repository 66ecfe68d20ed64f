import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { BenchResult } from "../bench/result.ts";
import { WAY_NAMES } from "../bench/ways/way.ts";
import { buildProgram } from "./plugins/go-plugins.ts";
import { hasTier } from "./tiers/tiers.ts";
import { type Ended, runNode } from "./tools/run-node.ts";

const BENCH = fileURLToPath(new URL("../scripts/bench.mjs", import.meta.url));

const positive = expect.toSatisfy((value: unknown) => typeof value === "number" && Number.isFinite(value) && value > 0);
const SCORE = { median: positive, lowest: positive, highest: positive, ratio: positive };

function bench(...args: string[]): Promise<Ended> {
  const env = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return runNode([BENCH, ...args], { env: Object.fromEntries(env) });
}

describe("npm run bench", () => {
  test.each([
    [["--only", "speed"], "There is no row speed, but unary"],
    [["--network", "moon"], "There is no network moon, but loopback, wan."],
    [["--rounds", "many"], '--rounds takes a number, not "many".'],
    [["--fast"], "Unknown option '--fast'"],
  ])("refuses %j", async (args, says) => {
    const { code, stdout, stderr } = await bench(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(says);
  });

  test("explains itself", async () => {
    const { code, stdout } = await bench("--help");
    expect(code).toBe(0);
    expect(Math.max(...stdout.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(100);
    expect(stdout).toContain("--only <row>");
  });

  describe.runIf(hasTier("openssh") && hasTier("go"))("with sshd and Go", () => {
    beforeAll(() => buildProgram("kv"), 6 * 60_000);

    test("measures one row over all ways", async () => {
      const { code, stdout, stderr } = await bench("--quick", "--json", "--only", "unary", "--network", "loopback");
      expect(code, stderr).toBe(0);
      expect(stderr).toBe("bench: loopback, round 1 of 1: unary\n");
      const { circumstances, networks } = JSON.parse(stdout) as BenchResult;
      expect(circumstances).toMatchObject({ cipher: "aes128-gcm@openssh.com", autoMtls: false, quick: true });
      expect(Object.values(circumstances.versions)).not.toContain("unknown");
      const ways = Object.fromEntries(WAY_NAMES.map((name) => [name, SCORE]));
      expect(networks).toEqual([
        {
          name: "loopback",
          roundTripMs: 0,
          rounds: 1,
          lines: [
            { row: "unary", figure: "unary p50", unit: "ms", ways },
            { row: "unary", figure: "unary p99", unit: "ms", ways },
          ],
        },
      ]);
      for (const { ways } of networks[0]?.lines ?? []) expect(ways["ssh -L"]?.ratio).toBe(1);
    });
  });
});
