import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../../src/connect/pool.ts";
import { processTable } from "../../src/demo/embedded/process-table.ts";
import { SshRunner, type SshRunnerOptions } from "../../src/runner/ssh-runner.ts";
import { type Bench, connectTo, openSshBench } from "../contract/runner-kinds.ts";
import { failureOf, Said } from "../contract/said.ts";
import { hasTier } from "../tiers/tiers.ts";
import { isAlive } from "../tools/leaks.ts";

describe.skipIf(!hasTier("openssh"))("openssh: with MaxSessions 1, a plugin of a pool's", () => {
  test("is reached through relays, each on a connection of its own", async () => {
    await using bench = await openOne();
    await using pool = poolOn(bench);
    await using runner = runnerOn(bench, pool, "serves.mjs", { relay: "always" });
    await runner.start();
    const { path, port } = JSON.parse((await new Said(runner.stdout).until(/.*\n/))[0]);
    const addresses = [{ network: "unix", path } as const, { network: "tcp", host: "127.0.0.1", port } as const];
    const streams = await Promise.all(addresses.map((address) => runner.openStream(address)));
    // One for the plugin, one for each relay.
    expect(pool.stats()).toMatchObject({ connections: 3, sessions: 3 });
    for (const stream of streams) {
      stream.end("echo\nhello");
      expect(String(Buffer.concat(await stream.toArray()))).toBe("hello");
    }
    await runner.kill();
    expect(pool.stats()).toMatchObject({ sessions: 0, waiting: 0 });
  });

  test("is ended by its pid, where its supervisor is gone", async () => {
    await using bench = await openOne();
    await using pool = poolOn(bench);
    const runner = runnerOn(bench, pool, "stays.sh");
    await runner.start();
    const pid = Number(runner.id.split("#")[1]);
    const supervisor = processTable().find((row) => row.pid === pid)?.parentPid ?? 0;
    process.kill(supervisor, "SIGSTOP");
    await runner.kill();
    expect(isAlive(pid)).toBe(false);
    expect(pool.stats().boxes[0]?.totals).toMatchObject({ opened: 2 });
  });

  test("that cannot be started is looked at nevertheless", async () => {
    await using bench = await openOne();
    await using pool = poolOn(bench);
    await using runner = runnerOn(bench, pool, "stays.sh", { command: ["/no/such/plugin"] });
    await using other = runnerOn(bench, pool, "stays.sh");
    await other.start();
    expect((await failureOf(runner.start())).code).toBe("plugin-not-started");
    await other.kill();
  });
});

function openOne(): Promise<Bench> {
  return openSshBench({ options: ["MaxSessions 1"] });
}

function poolOn(bench: Bench): ConnectionPool {
  if (!bench.server) throw new TypeError("This bench has no server.");
  const { destination: _, ...options } = connectTo(bench.server);
  return new ConnectionPool(options);
}

function runnerOn(
  bench: Bench,
  pool: ConnectionPool,
  fixture: string,
  options: Partial<Pick<SshRunnerOptions, "relay" | "command">> = {},
): SshRunner {
  if (!bench.server) throw new TypeError("This bench has no server.");
  const { destination } = connectTo(bench.server);
  const command = bench.command(fixture);
  const more = { directoryBase: bench.boxTmp, killGraceMs: 1000, ...options };
  const runner = new SshRunner({ pool, destination, command, ...more });
  runner.stderr.resume();
  return runner;
}
