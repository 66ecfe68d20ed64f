import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { connect } from "../../../src/connect/connect.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import type { TestServer } from "../../servers/server.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { processesWith } from "../../tools/leaks.ts";
import { startProxy } from "../../tools/proxy.ts";
import { rejectionOf } from "../failure-of.ts";
import { Scratch } from "../scratch.ts";
import { output } from "../way/hops.ts";

/** A master as a user has it, and how to connect through it. */
interface UserMaster extends AsyncDisposable {
  readonly child: ChildProcess;
  connect(more?: ConnectOptions): ReturnType<typeof connect>;
}

async function startMaster(scratch: Scratch, server: TestServer, port = server.port): Promise<UserMaster> {
  const lines = [
    "Host box",
    `HostName ${server.host}`,
    `Port ${port}`,
    `User ${server.user}`,
    `HostKeyAlias [${server.host}]:${server.port}`,
    `IdentityFile ${server.identityFile}`,
    "IdentityAgent none",
    `UserKnownHostsFile ${server.knownHostsFile}`,
    "GlobalKnownHostsFile none",
    `ControlPath ${scratch.path("c-%C")}`,
    "ServerAliveInterval 0",
  ];
  const configFile = await scratch.put("config", `${lines.join("\n")}\n`);
  const child = spawn("ssh", ["-F", configFile, "-M", "-N", "-S", scratch.path("c"), "box"], { stdio: "ignore" });
  const ended = once(child, "exit");
  await eventually(() => existsSync(scratch.path("c")), { what: "the master to listen", timeoutMs: 15_000 });
  const sshOptions = [`ControlPath=${scratch.path("c")}`];
  return {
    child,
    connect: (more = {}) => connect("box", { configFile, backend: "openssh", sshOptions, ...more }),
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

// Whatever stands in somebody's rc files is none of these tests' business.
const start = () => startOpenSsh({ account: { home: "/" } });

describe.skipIf(!hasTier("openssh") || !hasTier("accounts"))("the user's own master", () => {
  test("outlives us, whatever was under way", async () => {
    await using scratch = await Scratch.make();
    await using server = await start();
    await using master = await startMaster(scratch, server);
    for (let count = 0; count < 5; count += 1) {
      const connection = await master.connect();
      const at = { network: "unix", path: scratch.path(`s${count}`) } as const;
      const underWay = [
        rejectionOf(connection.exec("cat").then(async () => connection.exec("cat"))),
        rejectionOf(connection.openStream({ network: "unix", path: "/nowhere" })),
        connection.listen(at, () => {}).catch(() => {}),
      ];
      await connection.close();
      await Promise.all(underWay);
    }
    await using connection = await master.connect();
    expect(await output(connection, "echo hello")).toBe("hello\n");
    expect(master.child.exitCode).toBeNull();
    await connection.close();
    expect((await server.log()).match(/Accepted publickey/g)).toHaveLength(1);
    // Those who kept it alive after the refusals go with it.
    expect(processesWith("hold-socket.sh").length).toBeGreaterThan(0);
    master.child.kill();
    await eventually(() => processesWith("hold-socket.sh").length === 0, {
      what: "nobody to be left",
      timeoutMs: 15_000,
    });
  });

  test("takes us along when it ends", async () => {
    await using scratch = await Scratch.make();
    await using server = await start();
    await using master = await startMaster(scratch, server);
    await using connection = await master.connect();
    const { exited } = await connection.exec("cat");
    master.child.kill();
    await eventually(() => connection.lost.aborted, { what: "the loss to be told" });
    expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
    expect(await exited).toBeUndefined();
  });

  test("is seen to be cut off, although it does not look itself", async () => {
    await using scratch = await Scratch.make();
    await using server = await start();
    const proxy = await startProxy(server);
    try {
      await using master = await startMaster(scratch, server, proxy.port);
      await using connection = await master.connect({ serverAliveIntervalMs: 300, serverAliveCountMax: 3 });
      await connection.exec("cat");
      expect(await output(connection, "sleep 1; echo awake")).toBe("awake\n");
      proxy.freeze();
      await eventually(() => connection.lost.aborted, { what: "the loss to be told", timeoutMs: 10_000 });
      expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
      expect(connection.lost.reason.message).toMatch(/no answer to keepalives/);
    } finally {
      await proxy.close();
      await server.stop({ leftovers: "end" });
    }
  });
});
