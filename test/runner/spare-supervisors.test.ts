import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { SpareSupervisors } from "../../src/runner/spare-supervisors.ts";
import { SshRunner, type SshRunnerOptions } from "../../src/runner/ssh-runner.ts";
import { type Bench, connectTo, embeddedKind, opensshKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { processesWith } from "../exec/trial.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";

/** OpenSSH's own limit. */
const MAX_SESSIONS = 10;
const SOON_MS = 20_000;

test.each([
  [{ spareSupervisors: 1 }, "wait for other plugins on the same connection"],
  [{ spareSupervisors: -1, pool: new ConnectionPool() }, "must be a number, 0 or more, not -1"],
  [{ spareSupervisors: "2" as never, pool: new ConnectionPool() }, 'must be a number, 0 or more, not "2"'],
])("%j are refused", (options, says) => {
  const make = () => new SshRunner({ destination: "box", command: ["/plugin"], ...options } as SshRunnerOptions);
  expect(make).toThrow(expect.objectContaining({ code: "bad-options", message: expect.stringContaining(says) }));
});

describe.each([
  [embeddedKind.name, embeddedKind, true],
  [opensshKind().name, opensshKind(), hasTier("openssh")],
] as const)("%s: supervisors that wait", (_name, kind, available) => {
  describe.skipIf(!available)("on a connection", () => {
    test("are there after the first start, are used by the next one, and are replaced", async () => {
      await using bench = await kind.open();
      await using box = await connectBench(bench);
      for (let n = 1; n <= 3; n += 1) {
        await using runner = on(bench, box.connection, { spareSupervisors: 2 });
        await runner.start();
        await waiting(box.spares, 2);
        // Two for the first start, besides its own.
        expect(box.execs()).toBe(n + 2);
        await runner.kill();
        expect(await runner.wait()).toEqual({ code: null, signal: "SIGTERM" });
      }
      expect(readdirSync(bench.boxTmp)).toEqual([]);
    });

    test("are not asked to look after a plugin in another way", async () => {
      await using bench = await kind.open();
      await using box = await connectBench(bench);
      await using first = on(bench, box.connection, { spareSupervisors: 1 });
      await first.start();
      await waiting(box.spares, 1);
      for (const other of [
        { leaseMs: 50_000 },
        { killGraceMs: 2_000 },
        { heartbeatIntervalMs: 9_000 },
        { leaseMs: 0 },
      ]) {
        await using runner = on(bench, box.connection, other);
        const before = box.execs();
        await runner.start();
        expect([box.execs(), box.spares.size]).toEqual([before + 1, 1]);
      }
      // Whoever wants none kept uses what there is.
      await using last = on(bench, box.connection);
      const before = box.execs();
      await last.start();
      expect([box.execs(), box.spares.size]).toEqual([before, 0]);
    });

    test("are used by starts that come together, each by one", async () => {
      await using bench = await kind.open();
      await using box = await connectBench(bench);
      await using first = on(bench, box.connection, { spareSupervisors: 2 });
      await first.start();
      await waiting(box.spares, 2);
      const before = box.execs();
      const runners = [1, 2, 3].map(() => on(bench, box.connection));
      await Promise.all(runners.map((runner) => runner.start()));
      expect(box.execs()).toBe(before + 1);
      expect(new Set(runners.map(({ id }) => id)).size).toBe(3);
      await Promise.all(runners.map((runner) => runner.kill()));
    });

    test("make room for plugins, and for those who look after them", async () => {
      await using bench = await kind.open();
      await using box = await connectBench(bench);
      await using first = on(bench, box.connection, { spareSupervisors: 3 });
      await first.start();
      await waiting(box.spares, 3);
      const others = Array.from({ length: MAX_SESSIONS - 1 }, () => on(bench, box.connection, { leaseMs: 0 }));
      for (const runner of others) await runner.start();
      expect(box.spares.size).toBe(0);
      const full = on(bench, box.connection);
      expect((await failureOf(full.start())).hint).toContain("MaxSessions");
      await Promise.all(others.map((runner) => runner.kill()));
    });

    test("end with it", async () => {
      await using bench = await kind.open();
      await using box = await connectBench(bench);
      const runner = on(bench, box.connection, { spareSupervisors: 2 });
      await runner.start();
      await waiting(box.spares, 2);
      await runner.kill();
      const onBox = () => processesWith(`127.0.0.1 ${bench.server?.port}\0`).length;
      // The embedded server tells its commands nothing of where they come from.
      if (kind !== embeddedKind) await eventually(() => onBox() > 0, { what: "supervisors on the box" });
      await box.connection.close();
      await eventually(() => box.spares.size === 0 && onBox() === 0, {
        what: "the end of those who wait",
        timeoutMs: SOON_MS,
      });
    });

    test("of a pool's are used by the next lease, and make room before another connection is opened", async () => {
      await using bench = await kind.open();
      const { destination, ...options } = connectTo(need(bench));
      // Longer than this test: between two plugins the connection is idle.
      await using pool = new ConnectionPool({ ...options, idleTimeoutMs: 300_000 });
      const make = (more: object) => new SshRunner({ ...settings(bench), pool, destination, ...more });
      const sessions = () => pool.stats().sessions;
      for (let n = 0; n < 2; n += 1) {
        const runner = make({ spareSupervisors: 2 });
        await runner.start();
        await eventually(() => sessions() === 3, { what: "supervisors to wait", timeoutMs: SOON_MS, state: sessions });
        await runner.kill();
        await eventually(() => sessions() === 2, { what: "the plugin's session to end", state: sessions });
      }
      // No connection is made for what waits, and none when it can make room.
      const others = Array.from({ length: MAX_SESSIONS }, () => make({ leaseMs: 0 }));
      await Promise.all(others.map((runner) => runner.start()));
      expect([pool.size, sessions()]).toEqual([1, MAX_SESSIONS]);
      await Promise.all(others.map((runner) => runner.kill()));
      expect(pool.stats().boxes[0]?.totals.opened).toBe(1);
    });

    test("of a pool's, once used, keep its connection open as long as the plugin runs", async () => {
      await using bench = await kind.open();
      const { destination, ...options } = connectTo(need(bench));
      await using pool = new ConnectionPool({ ...options, idleTimeoutMs: 100 });
      const make = () => new SshRunner({ ...settings(bench), pool, destination, spareSupervisors: 1 });
      const [first, second] = [make(), make()];
      await first.start();
      await eventually(() => pool.stats().sessions === 2, { what: "a supervisor to wait", timeoutMs: SOON_MS });
      await second.start();
      await first.kill();
      await eventually(() => pool.stats().boxes[0]?.connections[0]?.leases === 1, { what: "one lease to be left" });
      expect(pool.stats().boxes[0]?.connections[0]?.leases).toBe(1);
      await second.kill();
      expect(await second.wait()).toEqual({ code: null, signal: "SIGTERM" });
      await eventually(() => pool.size === 0, { what: "the connection that nobody uses to be closed" });
    });

    test("do not keep a pool's connection from being idle", async () => {
      await using bench = await kind.open();
      const { destination, ...options } = connectTo(need(bench));
      await using pool = new ConnectionPool({ ...options, idleTimeoutMs: 200 });
      const runner = new SshRunner({ ...settings(bench), pool, destination, spareSupervisors: 1 });
      await runner.start();
      await runner.kill();
      await eventually(() => pool.size === 0, { what: "the connection that nobody uses to be closed" });
    });
  });
});

/** A connection to a bench's box that counts its commands. */
async function connectBench(bench: Bench) {
  const { destination, ...options } = connectTo(need(bench));
  const real = await connect(destination, options);
  let execs = 0;
  const connection: Connection = {
    name: real.name,
    lost: real.lost,
    exec: (command, signal) => {
      execs += 1;
      return real.exec(command, signal);
    },
    openStream: (to, signal) => real.openStream(to, signal),
    listen: (at, onStream, signal) => real.listen(at, onStream, signal),
    close: () => real.close(),
    [Symbol.asyncDispose]: () => real.close(),
  };
  const spares = SpareSupervisors.of(connection);
  return { connection, spares, execs: () => execs, [Symbol.asyncDispose]: () => real.close() };
}

function settings(bench: Bench) {
  return { command: bench.command("stays.sh"), directoryBase: bench.boxTmp, killGraceMs: 1_000 };
}

function on(bench: Bench, connection: Connection, options: Partial<SshRunnerOptions> = {}): SshRunner {
  const runner = new SshRunner({ ...settings(bench), connection, ...options } as SshRunnerOptions);
  runner.stdout.resume();
  runner.stderr.resume();
  return runner;
}

async function waiting(spares: SpareSupervisors, count: number): Promise<void> {
  await eventually(() => spares.size === count, {
    what: `${count} supervisors to wait`,
    timeoutMs: SOON_MS,
    state: () => spares.size,
  });
}

function need(bench: Bench) {
  if (!bench.server) throw new TypeError("This bench has no server.");
  return bench.server;
}
