import { beforeAll, describe, expect, test } from "vitest";
import { connectTo, opensshKind } from "../contract/runner-kinds.ts";
import { counterOn } from "../dial/broker/started-counter.ts";
import type { Meeting, SkewedOrders } from "../hosts/skewed.ts";
import { buildProgram } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { hostProgram, libraryIn } from "../tools/host-program.ts";
import { start } from "../tools/run-node.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;
const TWO_HOURS_MS = 2 * 60 * 60_000;
/** How much of a difference between the clocks is the way from one look at a clock to the other. */
const SOON_MS = 60_000;

const available = ["go", "openssh", "faketime"].every(hasTier);

describe.skipIf(!available)("go, openssh, faketime: a host whose clock", () => {
  beforeAll(() => buildProgram("counter"), BUILD_MS);

  test.each([
    ["two hours ahead", TWO_HOURS_MS, false],
    ["two hours ahead", TWO_HOURS_MS, true],
    ["two hours behind", -TWO_HOURS_MS, false],
    ["two hours behind", -TWO_HOURS_MS, true],
  ])("is %s (by %d ms, multiplexing: %s) meets the plugin on every connection", async (_what, skewMs, multiplex) => {
    await using bench = await opensshKind().open();
    if (!bench.server) throw new TypeError("This bench has no server.");
    const orders: SkewedOrders = {
      runner: { ...connectTo(bench.server), command: [await counterOn(bench)], directoryBase: bench.boxTmp },
      multiplex,
    };
    const env = {
      PATH: process.env.PATH ?? "",
      TMPDIR: bench.hostTmp,
      // Timeouts go by another clock, which is not to be tampered with.
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      ORDERS: JSON.stringify({ library: libraryIn(built()), orders }),
    };
    const clock = `${skewMs < 0 ? "-" : "+"}${Math.abs(skewMs) / 1000}s`;
    const ended = await start("faketime", ["-f", clock, process.execPath, await hostProgram("skewed")], { env }).ended;
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    const meeting = JSON.parse(ended.stdout) as Meeting;
    expect(meeting).toMatchObject({ sum: 7, echo: "hello", exitCode: 0 });
    // The plugin goes by the true time, the host does not.
    expect(Math.abs(meeting.hostTime - meeting.pluginTime - skewMs)).toBeLessThan(SOON_MS);
    expect(Math.abs(meeting.pluginTime - Date.now())).toBeLessThan(SOON_MS);
  });
});
