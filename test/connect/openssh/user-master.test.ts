import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { describe, expect, test } from "vitest";
import { connect } from "../../../src/connect/connect.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import type { TestServer } from "../../servers/server.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { descendants, processesWith } from "../../tools/leaks.ts";
import { startProxy } from "../../tools/proxy.ts";
import { rejectionOf } from "../failure-of.ts";
import { withFakeIntervals, withFakeTimeouts } from "../fake-timeouts.ts";
import { Scratch } from "../scratch.ts";
import { output } from "../way/hops.ts";

/** A master as a user has it, and how to connect through it. */
interface UserMaster extends AsyncDisposable {
  readonly child: ChildProcess;
  connect(more?: ConnectOptions, signal?: AbortSignal): ReturnType<typeof connect>;
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
  await eventually(() => existsSync(scratch.path("c")), { what: "the master to listen" });
  const sshOptions = [`ControlPath=${scratch.path("c")}`];
  return {
    child,
    connect: (more = {}, signal) => connect("box", { configFile, backend: "openssh", sshOptions, ...more }, signal),
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
    const holders = () => processesWith("hold-socket.sh").filter(({ pid }) => descendants(process.pid).includes(pid));
    expect(holders().length).toBeGreaterThan(0);
    master.child.kill();
    await eventually(() => holders().length === 0, { what: "nobody to be left" });
  });

  test("no longer listens for us when we have gone", async () => {
    await using scratch = await Scratch.make();
    await using server = await start();
    await using master = await startMaster(scratch, server);
    const connection = await master.connect();
    const at = { network: "tcp", host: "127.0.0.1", port: 0 } as const;
    const [first, second] = await Promise.all([connection.listen(at, () => {}), connection.listen(at, () => {})]);
    await connection.close();
    await using next = await master.connect();
    for (const { address } of [first, second]) {
      await eventually(async () => (await rejectionOf(next.openStream(address))).code === "forward-failed", {
        what: "the box to stop listening",
      });
    }
    expect(master.child.exitCode).toBeNull();
  });

  test("is done without where it does not answer, and nobody waits for it after an abort", async () => {
    await using scratch = await Scratch.make();
    await using server = await start();
    await using master = await startMaster(scratch, server);
    const silent = scratch.path("silent");
    const sockets = new Set<Socket>();
    const listener = createServer((socket) => {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket)).resume();
    });
    await new Promise<void>((resolve) => listener.listen(silent, resolve));
    try {
      const sshOptions = [`ControlPath=${silent}`];
      const controller = new AbortController();
      const aborted = rejectionOf(master.connect({ sshOptions }, controller.signal));
      await eventually(() => sockets.size > 0, { what: "the master to be asked" });
      controller.abort();
      expect((await aborted).code).toBe("aborted");
      await eventually(() => sockets.size === 0, { what: "the socket to be closed" });
      let connecting: ReturnType<typeof connect> | undefined;
      await withFakeTimeouts(async (pass) => {
        connecting = master.connect({ sshOptions, connectTimeoutMs: 10_000 });
        connecting.catch(() => {});
        await eventually(() => sockets.size > 0, { what: "the master to be asked again" });
        pass(10_000);
      });
      await using connection = await (connecting as ReturnType<typeof connect>);
      expect(await output(connection, "echo hello")).toBe("hello\n");
      expect(sockets.size).toBe(0);
    } finally {
      listener.close();
    }
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

  test("is not given up at the first look, with serverAliveCountMax 0", async () => {
    await using scratch = await Scratch.make();
    await using server = await start();
    await using master = await startMaster(scratch, server);
    await withFakeIntervals(async (pass) => {
      await using connection = await master.connect({ serverAliveIntervalMs: 200, serverAliveCountMax: 0 });
      const { stdin, closed } = await connection.exec("cat");
      for (let look = 0; look < 3; look += 1) {
        pass(200);
        // By then the server has answered the look, too.
        expect(await output(connection, "echo awake")).toBe("awake\n");
      }
      stdin.end();
      await closed;
    });
  });

  test("is seen to be cut off, although it does not look itself", async () => {
    await using scratch = await Scratch.make();
    await using server = await start();
    const proxy = await startProxy(server);
    try {
      await using master = await startMaster(scratch, server, proxy.port);
      await withFakeIntervals(async (pass) => {
        await using connection = await master.connect({ serverAliveIntervalMs: 300, serverAliveCountMax: 3 });
        await connection.exec("cat");
        for (let look = 0; look < 5; look += 1) {
          pass(300);
          expect(await output(connection, "echo awake")).toBe("awake\n");
        }
        proxy.freeze();
        pass(3 * 300);
        expect(connection.lost.aborted).toBe(false);
        pass(300);
        await eventually(() => connection.lost.aborted, { what: "the loss to be told" });
        expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
        expect(connection.lost.reason.message).toMatch(/no answer to keepalives/);
      });
    } finally {
      await proxy.close();
      await server.stop({ leftovers: "end" });
    }
  });
});
