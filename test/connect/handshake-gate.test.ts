import { setMaxListeners } from "node:events";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { HandshakeGate } from "../../src/connect/pool/handshake-gate.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { later } from "../../src/lifetime/later.ts";
import { eventually } from "../tools/eventually.ts";
import { Random } from "../tools/random.ts";
import { rejectionOf } from "./failure-of.ts";
import { leavesNoTrace } from "./traces.ts";

const NEVER = new AbortController().signal;
setMaxListeners(0, NEVER);
const HINT = "Look at MaxStartups and PerSourcePenalties.";

function drop(said = ""): PluginError {
  return new PluginError("box-refused", `It dropped the connection.${said && ` It said ${JSON.stringify(said)}.`}`, {
    hint: HINT,
  });
}

function pass<T>(
  gate: HandshakeGate,
  connect: (signal: AbortSignal) => Promise<T>,
  priority = 0,
  signal = NEVER,
): Promise<T> {
  return gate.pass(connect, { signal, priority }, () => {});
}

describe("a gate", () => {
  test("lets five through at a time, those with more priority first", async () => {
    const gate = new HandshakeGate();
    const open = later<void>();
    let [now, most] = [0, 0];
    const order: number[] = [];
    const connect = (priority: number) => async () => {
      order.push(priority);
      now += 1;
      most = Math.max(most, now);
      await open.promise;
      now -= 1;
    };
    const all = [0, 0, 0, 0, 0, 0, 0, 1].map((priority) => pass(gate, connect(priority), priority));
    await new Promise(setImmediate);
    expect(gate).toMatchObject({ underWay: 5, waiting: 3, atOnce: 5 });
    open.resolve();
    await Promise.all(all);
    expect(most).toBe(5);
    expect(order).toEqual([0, 0, 0, 0, 0, 1, 0, 0]);
    expect(gate.totals).toEqual({ dropped: 0, retried: 0 });
  });

  test("tries again what was dropped, fewer at a time, and in the end more again", async () => {
    const gate = new HandshakeGate();
    const random = new Random(7);
    let now = 0;
    // As sshd with MaxStartups 3:50:5.
    const connect = async () => {
      const dropped = now >= 5 || (now >= 3 && random.below(100) < 50);
      if (dropped) throw drop("Exceeded MaxStartups");
      now += 1;
      await new Promise((resolve) => setTimeout(resolve, 1));
      now -= 1;
    };
    await leavesNoTrace(async () => {
      await Promise.all(Array.from({ length: 15 }, () => pass(gate, connect)));
      const { dropped, retried } = gate.totals;
      expect(dropped).toBeGreaterThan(0);
      expect(retried).toBe(dropped);
      const learnt = gate.atOnce;
      expect(learnt).toBeLessThan(3);
      await Promise.all(Array.from({ length: 25 }, () => pass(gate, connect)));
      expect(gate.atOnce).toBeGreaterThan(learnt);
    });
  });

  test("gives up after a few tries, and tells all who wait", async () => {
    const gate = new HandshakeGate();
    let tries = 0;
    const connect = async () => {
      tries += 1;
      throw drop();
    };
    const failures = await Promise.all(Array.from({ length: 20 }, () => rejectionOf(pass(gate, connect))));
    for (const failure of failures) expect(failure).toMatchObject({ code: "box-refused", hint: HINT });
    expect(failures[0]?.message).toMatch(/It did so 5 times in [\d.]+ s\.\nLook at/);
    expect(tries).toBe(9);
    await eventually(() => gate.waiting + gate.underWay === 0, { what: "nobody to wait" });
    expect(gate.atOnce).toBe(1);
    // It is no end: who comes later is heard.
    expect(await pass(gate, async () => "in")).toBe("in");
  });

  test("tries again also for one who has waited long for his first turn", async () => {
    const clock = performance.now.bind(performance);
    let passed = 0;
    const told = vi.spyOn(performance, "now").mockImplementation(() => clock() + passed);
    onTestFinished(() => told.mockRestore());
    const gate = new HandshakeGate();
    const open = later<void>();
    const before = Array.from({ length: 5 }, () => pass(gate, () => open.promise));
    let tries = 0;
    const last = pass(gate, async () => {
      tries += 1;
      if (tries === 1) throw drop();
      return "in";
    });
    passed = 10 * 60_000;
    open.resolve();
    await Promise.all(before);
    expect(await last).toBe("in");
    expect(tries).toBe(2);
  });

  test("does not try again where an address is penalised", async () => {
    const gate = new HandshakeGate();
    let tries = 0;
    const connect = async () => {
      tries += 1;
      throw drop("Not allowed at this time");
    };
    const failures = await Promise.all(Array.from({ length: 8 }, () => rejectionOf(pass(gate, connect))));
    expect(failures.map(({ code }) => code)).toEqual(Array(8).fill("box-refused"));
    expect(tries).toBe(5);
  });

  test("passes on every other failure at once", async () => {
    const gate = new HandshakeGate();
    const failure = new PluginError("auth-failed", "no");
    expect(await rejectionOf(pass(gate, () => Promise.reject(failure)))).toBe(failure);
    expect(gate.totals).toEqual({ dropped: 0, retried: 0 });
  });

  test("can be left at any moment", async () => {
    const gate = new HandshakeGate();
    await leavesNoTrace(async () => {
      const giveUp = new AbortController();
      const dropped = later<void>();
      const connect = async () => {
        dropped.resolve();
        throw drop();
      };
      const waiting = [1, 2, 3].map(() => rejectionOf(pass(gate, connect, 0, giveUp.signal)));
      await dropped.promise;
      giveUp.abort();
      expect((await Promise.all(waiting)).map(({ code }) => code)).toEqual(["aborted", "aborted", "aborted"]);
    });
    expect(await pass(gate, async () => "in")).toBe("in");
  });

  test("hands what comes too late to whoever undoes it", async () => {
    const gate = new HandshakeGate();
    const giveUp = new AbortController();
    const made = later<string>();
    const undone: string[] = [];
    const waiting = gate.pass(
      () => made.promise,
      { signal: giveUp.signal, priority: 0 },
      (late) => undone.push(late),
    );
    await new Promise(setImmediate);
    giveUp.abort();
    expect(await rejectionOf(waiting)).toMatchObject({ code: "aborted" });
    made.resolve("a connection");
    await new Promise(setImmediate);
    expect(undone).toEqual(["a connection"]);
  });
});
