import { describe, expect, test } from "vitest";
import { buildSlumber } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { isAlive, signalFound } from "../tools/leaks.ts";
import type { Ended } from "../tools/run-node.ts";
import { openSlumber, SOON_MS } from "./slumber.ts";

const LIMIT_MS = 5 * 60_000;
/** Longer than any test may take: what ends has been ended. */
const LONG = { seconds: 600 };

/** What Terraform says of a provider that is gone: which of the two, depends on what it hears first. */
const GONE = /Plugin did not respond|Request cancelled/;

const available = hasTier("terraform") && hasTier("go");

describe.skipIf(!available)("while Terraform applies", { timeout: LIMIT_MS }, () => {
  test("Ctrl-C, which reaches everybody, stops it as with a provider here", async () => {
    await buildSlumber();
    const ends: Ended[] = [];
    for (const place of ["near", "far"] as const) {
      await using bench = await openSlumber(built(), LONG);
      const running = bench.apply(place);
      await bench.napping();
      process.kill(-(running.child.pid ?? 0), "SIGINT");
      ends.push(await running.ended);
    }
    const [near, far] = ends.map(told);
    expect(near).toContain("The nap was interrupted: context canceled");
    expect(far).toEqual(near);
    expect(ends.map(({ code }) => code)).toEqual([1, 1]);
  });

  test("SIGKILL of Terraform ends the shim and the provider", async () => {
    await using bench = await openSlumber(built(), LONG);
    const running = bench.apply("far");
    const [provider = 0] = await bench.napping();
    const shims = bench.shims(running.child.pid ?? 0);
    expect(shims.length).toBeGreaterThan(0);
    running.child.kill("SIGKILL");
    await eventually(() => ![...shims, provider].some(isAlive), { what: "all to end", timeoutMs: SOON_MS });
    await running.ended;
  });

  test("SIGKILL of the shim: Terraform says so at once, and the provider ends", async () => {
    await using bench = await openSlumber(built(), LONG);
    const running = bench.apply("far");
    const [provider = 0] = await bench.napping();
    for (const shim of bench.shims(running.child.pid ?? 0)) signalFound(shim);
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(GONE);
    await eventually(() => !isAlive(provider), { what: "the provider to end", timeoutMs: SOON_MS });
    // What the killed shim had to leave here goes with the next start of one.
    expect(await bench.terraform.run("far", ["providers", "schema", "-json"])).toMatchObject({ code: 0 });
  });

  test("a connection that is cut: Terraform says so at once, and the provider ends", async () => {
    await using bench = await openSlumber(built(), LONG);
    const running = bench.apply("far");
    await bench.napping();
    bench.server.killSessions("SIGKILL");
    const { code, stdout, stderr } = await running.ended;
    expect(code).toBe(1);
    expect(stdout + stderr).toMatch(GONE);
  });

  test("a provider that is killed on the box: Terraform says so, as with one here", async () => {
    for (const place of ["near", "far"] as const) {
      await using bench = await openSlumber(built(), LONG);
      const running = bench.apply(place);
      const [provider = 0] = await bench.napping();
      process.kill(provider, "SIGKILL");
      const { code, stdout, stderr } = await running.ended;
      expect(code).toBe(1);
      expect(stdout + stderr).toMatch(GONE);
    }
  });
});

describe.skipIf(!available)("a provider behind the shim", { timeout: LIMIT_MS }, () => {
  test("has the same schema as here, and makes the same", async () => {
    await using bench = await openSlumber(built(), { seconds: 0 });
    for (const words of [
      ["providers", "schema", "-json"],
      ["apply", "-input=false", "-auto-approve"],
    ]) {
      // In this order, since the other login cannot write to what we have made.
      const far = await bench.terraform.run("far", words);
      const near = await bench.terraform.run("near", words);
      expect(far.code, far.stderr).toBe(0);
      expect(told(far)).toEqual(told(near));
    }
  });
});

describe.skipIf(!available)("eight configurations of one provider", { timeout: LIMIT_MS }, () => {
  test("run side by side through eight shims, each with its own", async () => {
    await using bench = await openSlumber(built(), { seconds: 0, providers: 8 });
    const running = bench.apply("far");
    const { code, stdout, stderr } = await running.ended;
    expect(code, stderr).toBe(0);
    expect(stdout).toContain("Apply complete! Resources: 8 added");
    for (let n = 0; n < 8; n += 1) expect(stdout).toContain(`by${n} = "provider ${n}"`);
    expect(new Set(await bench.napping()).size).toBe(8);
  });
});

/** What Terraform has said, without what differs from one directory, or one machine, to the next. */
function told({ stdout, stderr }: Ended): string[] {
  const text = `${stdout}${stderr}`.replace(/\/tmp\/\S+/g, "…").replace(/after \d+s/g, "after a while");
  const lines = text.split("\n");
  return lines.filter((line) => line.trim() !== "" && !line.includes("Still creating...")).sort();
}
