import { once } from "node:events";
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { Connection } from "../../src/contract/connection.ts";
import type { Runner } from "../../src/contract/runner.ts";
import { processTable } from "../../src/demo/embedded/process-table.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { type Bench, connectTo, embeddedKind, opensshKind } from "../contract/runner-kinds.ts";
import { failureOf, Said } from "../contract/said.ts";
import type { EmbeddedTestServer } from "../servers/embedded.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually, isAlive, signalFound } from "../tools/leaks.ts";

/** OpenSSH's own limit. */
const MAX_SESSIONS = 10;

describe.each([
  [embeddedKind.name, embeddedKind, true],
  [opensshKind().name, opensshKind(), hasTier("openssh")],
] as const)("%s: plugins on one connection", (_name, kind, available) => {
  describe.skipIf(!available)("of the caller's", () => {
    test("leave it open, and nothing on it", async () => {
      await using bench = await kind.open();
      await using connection = await connectBench(bench);
      for (let n = 0; n < 3; n += 1) {
        const runner = onConnection(bench, connection, "serves.mjs");
        await runner.start();
        const [line] = await new Said(runner.stdout).until(/.*\n/);
        await runner.pluginToHost({ network: "unix", path: JSON.parse(line).path });
        await runner.hostToPlugin({ network: "tcp", host: "127.0.0.1", port: 9 });
        const stream = await runner.openStream({ network: "tcp", host: "127.0.0.1", port: JSON.parse(line).port });
        stream.on("error", () => {}).resume();
        await runner.kill();
        await nothingOn(bench);
      }
      expect(connection.lost.aborted).toBe(false);
      // As many as one connection takes: the places of those who have gone are free.
      const runners = Array.from({ length: MAX_SESSIONS }, () => onConnection(bench, connection, "stays.sh"));
      await Promise.all(runners.map((runner) => runner.start()));
      await Promise.all(runners.map((runner) => runner.kill()));
    });

    test("do not know each other", async () => {
      await using bench = await kind.open();
      await using connection = await connectBench(bench);
      await using one = onConnection(bench, connection, "stays.sh");
      await using other = onConnection(bench, connection, "stays.sh");
      await Promise.all([one.start(), other.start()]);
      process.kill(pidOf(one), "SIGKILL");
      expect(await one.wait()).toEqual({ code: null, signal: "SIGKILL" });
      expect(isAlive(pidOf(other))).toBe(true);
      await other.kill();
      expect(await other.wait()).toEqual({ code: null, signal: "SIGTERM" });
    });

    test("end with it", async () => {
      await using bench = await kind.open();
      const connection = await connectBench(bench);
      const runner = onConnection(bench, connection, "stays.sh");
      await runner.start();
      const [stdout, waiting] = [new Said(runner.stdout), failureOf(runner.wait())];
      await connection.close();
      expect((await waiting).code).toBe("closed");
      await stdout.all;
      await eventually(() => !isAlive(pidOf(runner)), { what: "the plugin to end" });
      expect((await failureOf(runner.kill())).code).toBe("connection-lost");
    });

    test("that fail to start leave nothing on it", async () => {
      await using bench = await kind.open();
      await using connection = await connectBench(bench);
      const missing = onConnection(bench, connection, "no-such-fixture");
      expect((await failureOf(missing.start())).code).toBe("plugin-not-started");
      const unwanted = onConnection(bench, connection, "stays.sh");
      expect((await failureOf(unwanted.start(AbortSignal.abort()))).code).toBe("aborted");
      const late = onConnection(bench, connection, "stays.sh");
      const giveUp = new AbortController();
      const starting = failureOf(late.start(giveUp.signal));
      await new Promise(setImmediate);
      giveUp.abort();
      expect((await starting).code).toBe("aborted");
      await Promise.all([missing.kill(), unwanted.kill(), late.kill()]);
      await nothingOn(bench);
      expect(connection.lost.aborted).toBe(false);
    });
  });

  describe.skipIf(!available)("of a pool's", () => {
    test("share it, and the last one gives it back", async () => {
      await using bench = await kind.open();
      const { destination, ...options } = connectTo(need(bench));
      await using pool = new ConnectionPool({ ...options, idleTimeoutMs: 200 });
      const make = () => {
        const command = bench.command("stays.sh");
        return new SshRunner({ destination, pool, command, directoryBase: bench.boxTmp, killGraceMs: 1000 });
      };
      const runners = [make(), make(), make()];
      await Promise.all(runners.map((runner) => runner.start()));
      expect(pool.size).toBe(1);
      for (const runner of runners) {
        expect(pool.size).toBe(1);
        await runner.kill();
      }
      await eventually(() => pool.size === 0, { what: "the connection that nobody uses to be closed" });
    });

    test("that are killed while they connect leave nothing", async () => {
      await using bench = await kind.open();
      const { destination, ...options } = connectTo(need(bench));
      await using pool = new ConnectionPool({ ...options, idleTimeoutMs: 0 });
      const make = () => new SshRunner({ destination, pool, command: bench.command("stays.sh") });
      const runners = [make(), make()];
      const starting = runners.map((runner) => failureOf(runner.start()));
      await new Promise(setImmediate);
      await Promise.all(runners.map((runner) => runner.kill()));
      expect((await Promise.all(starting)).map(({ code }) => code)).toEqual(["closed", "closed"]);
      await eventually(() => pool.size === 0, { what: "the connection to be closed" });
    });
  });

  describe.skipIf(!available)("whose supervisor", () => {
    test.each(["SIGKILL", "SIGTERM", "SIGHUP"] as const)("gets %s are ended by kill nevertheless", async (signal) => {
      await using bench = await kind.open();
      await using connection = await connectBench(bench);
      const runner = onConnection(bench, connection, "has-children.sh", "stays");
      await runner.start();
      const [line] = (await once(runner.stdout, "data")).map(String);
      runner.stdout.resume();
      const pids = [pidOf(runner), ...String(line).trim().split(" ").map(Number)];
      process.kill(parentOf(pidOf(runner)), signal);
      await runner.kill();
      expect(pids.filter(isAlive)).toEqual([]);
      await nothingOn(bench);
    });

    test("is stopped are ended by kill nevertheless", async () => {
      await using bench = await kind.open();
      await using connection = await connectBench(bench);
      const runner = onConnection(bench, connection, "has-children.sh", "stays");
      await runner.start();
      const [line] = (await once(runner.stdout, "data")).map(String);
      runner.stdout.resume();
      const pids = [pidOf(runner), ...String(line).trim().split(" ").map(Number)];
      for (const pid of [parentOf(pidOf(runner)), ...childrenOf(parentOf(pidOf(runner)))]) {
        if (pid !== pidOf(runner)) signalFound(pid, "SIGSTOP");
      }
      await runner.kill();
      expect(pids.filter(isAlive)).toEqual([]);
      await nothingOn(bench);
    });
  });
});

async function connectBench(bench: Bench): Promise<Connection> {
  const { destination, ...options } = connectTo(need(bench));
  return connect(destination, options);
}

function onConnection(bench: Bench, connection: Connection, fixture: string, ...args: string[]): SshRunner {
  const command = bench.command(fixture, ...args);
  const runner = new SshRunner({ connection, command, directoryBase: bench.boxTmp, killGraceMs: 1000 });
  runner.stderr.resume();
  return runner;
}

/** Nothing is left that belongs to a plugin; the connection itself stays. */
async function nothingOn(bench: Bench): Promise<void> {
  const { embedded } = bench.server as Partial<EmbeddedTestServer>;
  const left = () => [
    ...[bench.boxTmp, bench.hostTmp].flatMap((path) => readdirSync(path)),
    ...(embedded && embedded.channels + embedded.forwards > 0
      ? [`${embedded.channels} channels`, `${embedded.forwards} forwards`]
      : []),
  ];
  await eventually(() => left().length === 0, { timeoutMs: 20_000, what: "nothing to be left", state: left });
}

function need(bench: Bench) {
  if (!bench.server) throw new TypeError("This bench has no server.");
  return bench.server;
}

function pidOf(runner: Runner): number {
  return Number(runner.id.split("#")[1]);
}

function parentOf(pid: number): number {
  return processTable().find((row) => row.pid === pid)?.parentPid ?? 0;
}

function childrenOf(pid: number): number[] {
  return processTable()
    .filter((row) => row.parentPid === pid)
    .map((row) => row.pid);
}
