import { describe, expect, test } from "vitest";
import { built } from "../tools/built.ts";
import { openUserHome } from "../tools/user-home.ts";
import { expectNothingLeft, STORY, startCli, stepsOf } from "./run-demo.ts";

const STEPS = ["server", ...STORY, "server"];

describe("go-plugin-ssh demo", () => {
  test("tells the whole story, and leaves nothing", async () => {
    using user = await openUserHome({ dist: built() });
    const { code, stdout, stderr } = await startCli(built(), user, ["demo"]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect([...stdout.matchAll(/^ {2}(\w+) +\d+ ms {2}\S/gm)].map(([, step]) => step)).toEqual(STEPS);
    expect(stdout).toMatch(/^A go-plugin plugin on a box, over SSH:\n\n/);
    expect(stdout).toMatch(/\n\nDone in \d+\.\d s\. Nothing is left behind on either side\.\n$/);
    expectNothingLeft({ stdout });
  });

  test("fits a terminal of 80 columns", async () => {
    using user = await openUserHome({ dist: built() });
    const { stdout } = await startCli(built(), user, ["demo"]).ended;
    const wide = stdout.split("\n").filter((line) => line.length > 80);
    // A path as long as that stands in a line of its own.
    expect(wide.filter((line) => !/^ +\S+$/.test(line))).toEqual([]);
  });

  test("tells each step as a line of JSON", async () => {
    using user = await openUserHome({ dist: built() });
    const { code, stdout, stderr } = await startCli(built(), user, ["demo", "--json"]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const steps = stepsOf({ stdout });
    expect(steps.map(({ step }) => step)).toEqual(STEPS);
    for (const step of steps) {
      expect(Object.keys(step)).toEqual(["step", "ms", "text"]);
      expect(step.ms).toBeGreaterThanOrEqual(0);
      expect(step.text).toMatch(/\w/);
    }
    const texts = Object.fromEntries(steps.map(({ step, text }) => [step, text]));
    const pid = /process (\d+)/.exec(texts.exec ?? "")?.[1];
    expect(texts.call).toContain(`this is process ${pid} on `);
    expect(texts.callback).toContain(`The host greets process ${pid}.`);
    expect(texts.stream).toContain("1000 messages");
    expect(texts.kill).toContain("exit code 0");
    expectNothingLeft({ stdout });
  });

  test("runs in a directory and a home that are not there", async () => {
    using user = await openUserHome({ dist: built() });
    const away = { ...user, env: { ...user.env, HOME: "/nonexistent" } };
    expect(await startCli(built(), away, ["demo"]).ended).toMatchObject({ code: 0, stderr: "" });
  });
});
