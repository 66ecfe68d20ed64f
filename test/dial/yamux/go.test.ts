import { beforeAll, describe, expect, test } from "vitest";
import { type YamuxOptions, YamuxSession } from "../../../src/dial/yamux/yamux-session.ts";
import { buildProgram, hasGo } from "../../plugins/go-plugins.ts";
import { eventually } from "../../tools/eventually.ts";
import { startGoPeer } from "./go-peer.ts";
import { doAccepted, doOpened, KINDS, plans, Report } from "./plan.ts";

/** How many streams the Node side has open at once. */
const AT_ONCE = 32;

interface Trial {
  side: YamuxOptions["side"];
  /** How many streams each side opens. */
  count: number;
  /** What happens on the streams that Node opens. */
  kinds: number[];
  /** Flags of the Go program besides. */
  flags: Record<string, string | number>;
}

/** Runs all streams of both sides, and gives what each side saw. */
async function run({ side, count, kinds, flags }: Trial) {
  const role = side === "client" ? "server" : "client";
  await using go = await startGoPeer({ role, streams: count, seed: 77, "keep-alive": "50ms", ...flags });
  await using session = new YamuxSession(go.carrier, { side, keepAliveIntervalMs: 50 });
  const node = new Report();
  const failed = (what: string) => (failure: Error) => void node.Failures.push(`${what}: ${failure.message}`);
  const queue = plans(count, 42, kinds);
  const opening = Array.from({ length: AT_ONCE }, async () => {
    for (let plan = queue.pop(); plan; plan = queue.pop()) {
      await doOpened(session.open(), plan, node).catch(failed(`opened ${JSON.stringify(plan)}`));
    }
  });
  const accepted: Promise<void>[] = [];
  for (let number = 0; number < count; number += 1) {
    const stream = await session.accept(AbortSignal.timeout(120_000));
    accepted.push(doAccepted(stream, node).catch(failed("accepted")));
  }
  await Promise.all([...opening, ...accepted]);
  const report = await go.report();
  await eventually(() => session.streams === 0, { what: "no stream to be left", timeoutMs: 20_000 });
  node.Left = session.streams;
  expect(session.over.aborted).toBe(false);
  session.close();
  expect(await go.end()).toBe(0);
  return { node, go: report, stderr: go.stderr() };
}

describe.skipIf(!hasGo())("with Go's yamux", { timeout: 120_000 }, () => {
  beforeAll(async () => void (await buildProgram("yamuxpeer")), 6 * 60_000);

  test.each(["client", "server"] as const)("as the %s: 10,000 streams of all kinds arrive whole", async (side) => {
    const { answered, echoed, stalled, dropped, crossed } = KINDS;
    const trial = { side, count: 5_000, kinds: [answered, echoed, stalled, dropped, crossed], flags: { kinds: 5 } };
    const { node, go, stderr } = await run(trial);
    expect({ node: node.Failures, go: go.Failures }).toEqual({ node: [], go: [] });
    expect(node.Whole + node.Reset).toBe(10_000);
    expect(go).toMatchObject({
      Whole: node.Whole,
      Reset: node.Reset,
      Sent: node.Received,
      Received: node.Sent,
      SentDigest: node.ReceivedDigest,
      ReceivedDigest: node.SentDigest,
      Left: 0,
    });
    expect(node.Sent).toBeGreaterThan(10_000_000);
    expect(stderr).not.toContain("[ERR]");
  });

  test("streams that Go resets fail, and nothing else does", async () => {
    const trial = {
      side: "client",
      count: 100,
      kinds: [KINDS.timedOut],
      flags: { kinds: 1, "close-timeout": "500ms" },
    };
    const { node, go } = await run(trial as Trial);
    expect({ node: node.Failures, go: go.Failures }).toEqual({ node: [], go: [] });
    expect(node).toMatchObject({ Whole: 100, Reset: 100 });
  });
});
