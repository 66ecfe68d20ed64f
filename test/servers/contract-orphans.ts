import { userInfo } from "node:os";
import { describe, expect, test } from "vitest";
import { eventually, isAlive, processesWith } from "../tools/leaks.ts";
import { ending, firstLine, PlainClient } from "./client.ts";
import type { ServerKind, TestServer } from "./server.ts";

/** Ways in which a command loses its client. */
const LOSSES: Record<string, (server: TestServer, client: PlainClient, close: () => void) => Promise<void>> = {
  "its channel is closed": async (_server, _client, close) => close(),
  "its client leaves": async (_server, client) => {
    client.ssh.end();
    await client.gone;
  },
  "its client's socket is destroyed": async (_server, client) => {
    client.ssh.destroy();
    await client.gone;
  },
  "its session is killed": async (server, client) => {
    server.killSessions("SIGKILL");
    await client.gone;
  },
};

/** What becomes of commands whose client has gone. */
export function orphanContract(kind: ServerKind): void {
  describe.each(Object.keys(LOSSES))("when %s, a command", (loss) => {
    const start = async (server: TestServer, command: string) => {
      const client = await PlainClient.connect(server);
      const channel = await client.start(command);
      const pid = Number(await firstLine(channel));
      channel.resume().on("error", () => {});
      channel.stderr.resume();
      return { client, pid, lose: () => LOSSES[loss]?.(server, client, () => channel.close()) };
    };

    test("that looks away lives on", async () => {
      await using server = await kind.start();
      const { client, pid, lose } = await start(server, "echo $$; exec sleep 300");
      const reader = await start(server, "echo $$; exec cat");
      await lose();
      await reader.lose();
      await eventually(() => !isAlive(reader.pid), { what: "a command that reads to see the loss" });
      expect(isAlive(pid)).toBe(true);
      process.kill(pid, "SIGKILL");
      await client[Symbol.asyncDispose]();
      await reader.client[Symbol.asyncDispose]();
    });

    test("that writes dies of it", async () => {
      await using server = await kind.start();
      const { client, pid, lose } = await start(server, "echo $$; exec yes");
      await lose();
      await eventually(() => !isAlive(pid), { what: "a command that writes to die" });
      await client[Symbol.asyncDispose]();
    });
  });

  test("the channel of a command is closed by the server when the command has ended, and not before", async () => {
    await using server = await kind.start();
    await using client = await PlainClient.connect(server);
    const channel = await client.start("echo $$; exec sleep 300");
    const pid = Number(await firstLine(channel));
    let closed = false;
    channel.resume().on("close", () => {
      closed = true;
    });
    channel.stderr.resume();
    const ended = ending(channel);
    channel.close();
    // What comes back after the close is an answer to something that was sent after it.
    await client.run("true");
    expect(closed).toBe(false);
    process.kill(pid, "SIGTERM");
    expect(await ended).toEqual({ code: null, signal: "SIGTERM" });
  });

  describe("stopping the server", () => {
    test("fails while a command lives on, and ends it", async () => {
      const server = await kind.start();
      const client = await PlainClient.connect(server);
      // An empty environment says nothing about where it comes from; the process group still does.
      const channel = await client.start("echo $$; exec env -i /bin/sleep 300");
      const pid = Number(await firstLine(channel));
      await runs(pid, "/bin/sleep 300");
      await expect(server.stop({ patienceMs: 100 })).rejects.toThrow(`process ${pid}: /bin/sleep 300`);
      await eventually(() => !isAlive(pid), { what: "the command to be ended" });
      await client.gone;
    });

    test("finds a command that left its group and its session, and whose parents are gone", async () => {
      const server = await kind.start();
      await using client = await PlainClient.connect(server);
      const { stdout } = await client.run("setsid sleep 300 </dev/null >/dev/null 2>&1 & echo $!");
      await runs(Number(stdout), "sleep 300");
      await expect(server.stop({ patienceMs: 100 })).rejects.toThrow("sleep 300");
      await eventually(() => !isAlive(Number(stdout)), { what: "the command to be ended" });
    });

    test("can be told to end what is left, or to let it be", async () => {
      for (const leftovers of ["end", "keep"] as const) {
        const server = await kind.start();
        await using client = await PlainClient.connect(server);
        const { stdout } = await client.run("sleep 300 </dev/null >/dev/null 2>&1 & echo $!");
        await runs(Number(stdout), "sleep 300");
        await server.stop({ leftovers });
        await server[Symbol.asyncDispose]();
        if (leftovers === "end") await eventually(() => !isAlive(Number(stdout)), { what: "the command to be ended" });
        else process.kill(Number(stdout), "SIGKILL");
      }
    });
  });

  // Before OpenSSH 10, sshd does not pass signals on when root has logged in.
  const passesSignals = kind.name === "embedded" || userInfo().uid !== 0;
  describe.skipIf(!passesSignals)("a signal request", () => {
    test("reaches the whole process group", async () => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      const channel = await client.start("sleep 300 & echo $!; wait");
      const pid = Number(await firstLine(channel));
      const ended = ending(channel.resume());
      channel.stderr.resume();
      channel.signal("TERM");
      expect(await ended).toEqual({ code: null, signal: "SIGTERM" });
      await eventually(() => !isAlive(pid), { what: "the child to end" });
    });
  });
}

/** Waits until a process that is known by its pid runs the program that it is to become. */
async function runs(pid: number, command: string): Promise<void> {
  const found = () => processesWith(command).some((row) => row.pid === pid && row.cmdline === command);
  await eventually(found, { what: `${pid} to be ${command}` });
}
