import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { BenchResult } from "../bench/result.ts";
import type { RoundTrips } from "../bench/round-trips/run.ts";
import { tripsOf } from "../bench/round-trips/story.ts";
import { WAY_NAMES } from "../bench/ways/way.ts";
import { buildProgram } from "./plugins/go-plugins.ts";
import { hasTier } from "./tiers/tiers.ts";
import { type Ended, runNode } from "./tools/run-node.ts";

const BENCH = fileURLToPath(new URL("../scripts/bench.mjs", import.meta.url));

/** A bench measures as long as the machine needs. */
const LIMIT_MS = 4 * 60_000;

const positive = expect.toSatisfy((value: unknown) => typeof value === "number" && Number.isFinite(value) && value > 0);
const SCORE = { median: positive, lowest: positive, highest: positive, ratio: positive };

function bench(...args: string[]): Promise<Ended> {
  const env = Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return runNode([BENCH, ...args], { env: Object.fromEntries(env), timeoutMs: LIMIT_MS });
}

describe("the round trips of a start", () => {
  const start = (...steps: [what: string, atMs: number][]) => steps.map(([what, atMs]) => ({ what, atMs }));

  test("are counted in the quickest of each step", () => {
    const calm = start(["a", 110], ["b", 230], ["c", 240], ["d", 590]);
    const busy = start(["a", 105], ["b", 900], ["c", 1_500], ["d", 1_710]);
    const other = start(["a", 100], ["b", 200], ["d", 9_000]);
    expect(tripsOf([busy, calm, other], 100)).toEqual([
      { at: 1, took: 1, what: "a" },
      { at: 2, took: 1, what: "b, c" },
      { at: 4, took: 2, what: "d" },
    ]);
  });
});

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

    test.runIf(hasTier("netns"))(
      "counts the round trips of each way, and names them",
      { timeout: LIMIT_MS },
      async () => {
        const { code, stdout, stderr } = await bench("--round-trips", "--quick", "--json");
        expect(code, stderr).toBe(0);
        const { journeys } = JSON.parse(stdout) as RoundTrips;
        const told = journeys.map(({ way, trips }) => [way, trips.map(({ what }) => what).join(", ")]);
        const start = "report and handshake line, forward, TLS, first answer";
        expect(told.slice(0, 3)).toEqual([
          [
            "cold",
            expect.stringMatching(/^TCP connection, the server's version, KEXINIT, .*session, command accepted, /),
          ],
          ["warm", `session, command accepted, ${start}`],
          ["warm, a supervisor waits", start],
        ]);
        expect(told[0]?.[1]).toContain(start);
        expect(told.slice(3).map(([way]) => way)).toEqual([
          "ssh -L, no master",
          "ssh -L, ControlMaster first",
          "ssh -L, ControlMaster is there",
          "ssh box true",
          "ssh box true, ControlMaster is there",
        ]);
        for (const { tookMs, trips } of journeys) expect([tookMs, trips.at(-1)?.at]).toEqual([positive, positive]);
      },
    );

    test("measures one row over all ways", { timeout: LIMIT_MS }, async () => {
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
