import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { buffer, text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import type { Connection } from "../../../src/contract/connection.ts";
import { OWN_PREFIX } from "../../../src/lifetime/owner-mark.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import type { TestServer } from "../../servers/server.ts";
import { hasTier, TEST_LOGIN } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { descendants, processesWith } from "../../tools/leaks.ts";
import { rejectionOf } from "../failure-of.ts";
import { login, loginWithKey } from "../login.ts";
import { Scratch } from "../scratch.ts";

const BY_SSH: ConnectOptions = { backend: "openssh", configFile: "none" };

/** Connects by the system's `ssh`. */
function through(server: TestServer, more: ConnectOptions = {}): Promise<Connection> {
  return loginWithKey(server, { ...BY_SSH, ...more });
}

/** What a connection through `ssh` keeps on this machine: its processes and its directory. */
function kept(server: TestServer): string[] {
  const ours = descendants(process.pid);
  const processes = processesWith(`-p ${server.port} `).filter(({ pid }) => ours.includes(pid));
  return [
    ...processes.map(({ cmdline }) => cmdline),
    ...readdirSync(tmpdir()).filter((name) => name.startsWith(OWN_PREFIX)),
  ];
}

/** Waits until nothing of it is left. */
async function isGone(server: TestServer): Promise<void> {
  await eventually(() => kept(server).length === 0, { what: "ssh to be gone", state: () => kept(server) });
}

/** Runs a command to its end. */
async function run(connection: Connection, command: string) {
  const { stdin, stdout, stderr, exited } = await connection.exec(command);
  stdin.end();
  const [out, err] = await Promise.all([text(stdout), text(stderr)]);
  return { out, err, exit: await exited };
}

describe.skipIf(!hasTier("openssh"))("through the system's ssh", () => {
  test("a command has three streams and an exit, 255 among them", async () => {
    await using server = await startOpenSsh();
    await using connection = await through(server);
    expect(connection.name).toBe(`${server.user}@${server.host}:${server.port}`);
    const { stdin, stdout, stderr, exited, closed } = await connection.exec("cat; echo aside >&2; exit 255");
    stdin.end("to and fro");
    expect([await text(stdout), await text(stderr), await exited]).toEqual([
      "to and fro",
      "aside\n",
      { code: 255, signal: null },
    ]);
    await closed;
    await connection.close();
    await isGone(server);
  });

  // Signals do not reach the commands of root with every sshd.
  test.skipIf(!hasTier("login"))("a signal reaches the command, and is told of as its end", async () => {
    await using server = await startOpenSsh({ user: TEST_LOGIN });
    await using connection = await through(server);
    const channel = await connection.exec("echo ready; exec sleep 60");
    await once(channel.stdout, "data");
    channel.signal("TERM");
    expect(await channel.exited).toEqual({ code: null, signal: "SIGTERM" });
  });

  test("sessions that are used up are told from commands that fail, and are free again", async () => {
    await using server = await startOpenSsh({ options: ["MaxSessions 1"] });
    await using connection = await through(server);
    const first = await connection.exec("cat");
    const failure = await rejectionOf(connection.exec("true"));
    expect(failure.code).toBe("plugin-not-started");
    expect(failure.hint).toMatch(/MaxSessions/);
    expect(failure.cause).toMatchObject({ reason: 2 });
    first.stdin.end();
    expect(await first.exited).toEqual({ code: 0, signal: null });
    // As many as follow each other at once, although sshd may still count the one before.
    for (let count = 0; count < 10; count += 1) expect((await run(connection, "echo next")).out).toBe("next\n");
  });

  test("a forbidden connection is told from one that nobody answers", async () => {
    await using server = await startOpenSsh({ options: ["PermitOpen 127.0.0.1:9"] });
    await using connection = await through(server);
    const forbidden = await rejectionOf(connection.openStream({ network: "tcp", host: "127.0.0.1", port: 10 }));
    expect(forbidden.code).toBe("forward-forbidden");
    const nobody = await rejectionOf(connection.openStream({ network: "tcp", host: "127.0.0.1", port: 9 }));
    expect(nobody.code).toBe("forward-failed");
    expect(nobody.message).toMatch(/Connection refused/);
    expect((await rejectionOf(connection.openStream({ network: "unix", path: "/nowhere/s" }))).code).toBe(
      "forward-failed",
    );
  });

  test("a forbidden listener is refused, and a taken path too", async () => {
    await using scratch = await Scratch.make();
    await using server = await startOpenSsh({ options: ["PermitListen none"] });
    await using connection = await through(server);
    const at = { network: "tcp", host: "127.0.0.1", port: 0 } as const;
    expect((await rejectionOf(connection.listen(at, () => {}))).code).toBe("forward-forbidden");
    const path = await scratch.put("taken", "");
    expect((await rejectionOf(connection.listen({ network: "unix", path }, () => {}))).code).toBe("forward-forbidden");
  });

  test("each arrival at a listener is a stream, whose directions end one by one, until it is closed", async () => {
    await using server = await startOpenSsh();
    await using connection = await through(server);
    const listener = await connection.listen({ network: "tcp", host: "127.0.0.1", port: 0 }, (stream) => {
      let said = "";
      stream.on("data", (chunk) => {
        said += chunk;
      });
      stream.on("end", () => stream.end(`you said ${said}`));
    });
    const answer = async () => {
      const stream = await connection.openStream(listener.address);
      stream.end("good day");
      return text(stream);
    };
    expect(await Promise.all([answer(), answer(), answer()])).toEqual(Array(3).fill("you said good day"));
    await listener.close();
    await listener.close();
    await eventually(
      async () => (await rejectionOf(connection.openStream(listener.address))).code === "forward-failed",
      {
        what: "the box to stop listening",
      },
    );
  });

  test("20 MB go each way at once, through a reader who is slow at first", async () => {
    await using scratch = await Scratch.make();
    await using server = await startOpenSsh();
    const path = scratch.path("echo");
    const echo = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(path, resolve));
    try {
      await using connection = await through(server);
      const stream = await connection.openStream({ network: "unix", path });
      const sent = Buffer.alloc(20_000_000, "there and back ");
      stream.write(sent);
      await eventually(() => stream.readableLength > 0, { what: "the first bytes" });
      // Nobody reads, so the server has to wait: what is here is bounded.
      await eventually(() => stream.readableLength > 1_000_000, { what: "the window to fill" });
      expect(stream.readableLength).toBeLessThan(4_000_000);
      stream.end();
      expect((await buffer(stream)).equals(sent)).toBe(true);
    } finally {
      echo.close();
    }
  });

  test.each(["the server's process", "ssh"])("everybody is told at once when %s is gone", async (whose) => {
    await using server = await startOpenSsh();
    await using connection = await through(server);
    const waiting = await connection.exec("cat");
    const port = server.port;
    const stream = await connection.openStream({ network: "tcp", host: "127.0.0.1", port });
    const broken = once(stream, "error");
    if (whose === "ssh") {
      const pids = processesWith(`-p ${port} `).filter(({ cmdline }) => cmdline.startsWith("ssh "));
      expect(pids).toHaveLength(1);
      for (const { pid } of pids) process.kill(pid, "SIGKILL");
    } else server.killSessions("SIGKILL");
    await eventually(() => connection.lost.aborted, { what: "the loss to be told" });
    expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
    expect(await waiting.exited).toBeUndefined();
    await waiting.closed;
    expect(await text(waiting.stdout)).toBe("");
    expect((await broken)[0]).toBe(connection.lost.reason);
    expect(await rejectionOf(connection.exec("true"))).toBe(connection.lost.reason);
    await isGone(server);
    await server.stop({ leftovers: "end" });
  });

  test("a close ends what is open, and leaves nothing", async () => {
    await using server = await startOpenSsh();
    const connection = await through(server);
    const channel = await connection.exec("cat");
    const opening = rejectionOf(connection.exec("cat"));
    await Promise.all([connection.close(), connection.close()]);
    expect((await opening).code).toBe("closed");
    expect(await channel.exited).toBeUndefined();
    expect((await rejectionOf(connection.exec("true"))).code).toBe("closed");
    await isGone(server);
  });

  test("giving up while it connects leaves nothing", async () => {
    await using server = await startOpenSsh();
    for (const delayMs of [0, 5, 20, 60, 150]) {
      const controller = new AbortController();
      const connecting = loginGivenUp(server, controller.signal);
      setTimeout(() => controller.abort(), delayMs);
      const outcome = await connecting;
      expect(["aborted", "connected"]).toContain(outcome);
    }
    await isGone(server);
  });
});

async function loginGivenUp(server: TestServer, signal: AbortSignal): Promise<string> {
  return login(server, { ...BY_SSH, identityFile: server.identityFile }, signal).then(
    async (connection) => {
      await connection.close();
      return "connected";
    },
    (failure) => failure.code,
  );
}
