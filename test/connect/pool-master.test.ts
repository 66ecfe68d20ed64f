import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { Scratch } from "./scratch.ts";
import { leavesNoTrace } from "./traces.ts";

describe.skipIf(!hasTier("openssh"))("openssh: where the user has a master running", () => {
  test.each([
    // A few sessions, and never so many that the server would refuse one.
    ["OpenSSH's own", 10, { plugins: 12, connections: 2, isRefused: false }],
    ["a lower", 2, { plugins: 5, connections: 3, isRefused: true }],
  ])("it is joined first, and the rest goes to our own, with %s limit", async (_what, maxSessions, expected) => {
    await using server = await startOpenSsh({ options: [`MaxSessions ${maxSessions}`] });
    await using scratch = await Scratch.make();
    const socket = join(scratch.directory, "master");
    const configFile = await scratch.put(
      "config",
      [
        "Host box",
        `HostName ${server.host}`,
        `Port ${server.port}`,
        `User ${server.user}`,
        `IdentityFile ${server.identityFile}`,
        "IdentityAgent none",
        `UserKnownHostsFile ${server.knownHostsFile}`,
        `ControlPath ${socket}`,
        "",
      ].join("\n"),
    );
    const master = spawn("ssh", ["-F", configFile, "-M", "-N", "box"], { stdio: "ignore" });
    const ended = once(master, "exit");
    try {
      await eventually(() => existsSync(socket), { what: "the master to listen" });
      await leavesNoTrace(async () => {
        await using pool = new ConnectionPool({ configFile, backend: "openssh", globalKnownHostsFile: [] });
        const leases = await Promise.all(Array.from({ length: expected.plugins }, () => pool.lease("box")));
        const running = await Promise.all(leases.map(({ connection }) => stay(connection)));
        const { plugins, connections, isRefused } = expected;
        const { boxes, ...stats } = pool.stats();
        expect(stats).toEqual({ connections, sessions: plugins, waiting: 0 });
        expect(boxes[0]?.totals.refused !== 0).toBe(isRefused);
        for (const { stdin, closed } of running) {
          stdin.end();
          await closed;
        }
      });
      expect(master.exitCode).toBeNull();
    } finally {
      // Another signal may be seen late: OpenSSH 9.2 looks for one before it waits, not while.
      master.kill("SIGKILL");
      await ended;
    }
  });
});

async function stay(connection: Connection) {
  const channel = await connection.exec("cat");
  channel.stdout.resume();
  channel.stderr.resume();
  return channel;
}
