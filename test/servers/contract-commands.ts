import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { digest, ending, PlainClient } from "./client.ts";
import type { ServerKind } from "./server.ts";

/** Commands, and how each of them ends. */
const ENDINGS = [
  { command: "exit 0", code: 0, signal: undefined },
  { command: "exit 3", code: 3, signal: undefined },
  { command: "/no/such/program", code: 127, signal: undefined },
  { command: "kill -TERM $$", code: null, signal: "SIGTERM" },
  { command: "kill -KILL $$", code: null, signal: "SIGKILL" },
] as const;

const MANY = randomBytes(5_000_000);

/** What a server does with commands. */
export function commandContract(kind: ServerKind): void {
  describe("commands", () => {
    test("end with their exit code or their signal", async () => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      for (const { command, ...how } of ENDINGS) {
        expect({ command, ...(await client.run(command)) }).toMatchObject({ command, ...how });
      }
    });

    test("keep stdout and stderr apart", async () => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      const { stdout, stderr } = await client.run("echo said; echo complained >&2");
      expect({ stdout, stderr }).toEqual({ stdout: "said\n", stderr: "complained\n" });
    });

    test("run at home, in a group of their own, with an environment that owes nothing to ours", async () => {
      process.env.GPS_PARENT_MARK = "leaked";
      await using server = await kind.start();
      delete process.env.GPS_PARENT_MARK;
      await using client = await PlainClient.connect(server);
      const { stdout } = await client.run("pwd; echo $$; ps -o pgid= -o sid= -p $$; env");
      const [directory, pid, ids, ...lines] = stdout.trim().split("\n");
      expect(directory).toBe(userInfo().homedir);
      expect(ids?.trim().split(/\s+/)).toEqual([pid, pid]);
      const environment = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s)));
      expect(environment).not.toHaveProperty("GPS_PARENT_MARK");
      expect(environment).toMatchObject({ USER: server.user, LOGNAME: server.user, HOME: userInfo().homedir });
      expect(environment.SSH_CONNECTION).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ 127\\.0\\.0\\.1 ${server.port}$`));
      expect(environment.SSH_CLIENT).toMatch(new RegExp(`^127\\.0\\.0\\.1 \\d+ ${server.port}$`));
    });

    test.each(["cat", "cat >&2"])("carry 5 MB to stdin and back from `%s`", async (command) => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      const channel = await client.start(command);
      const ended = ending(channel);
      const outputs = Promise.all([buffer(channel), buffer(channel.stderr)]);
      channel.end(MANY);
      expect(digest(Buffer.concat(await outputs))).toEqual(digest(MANY));
      await ended;
    });

    test("fill both outputs beyond the window without mixing them up", async () => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      const half = "head -c 5000000 /dev/zero | tr '\\0'";
      const channel = await client.start(`${half} o & ${half} e >&2 & wait`);
      // Nothing is read until the window is used up, so that both outputs have to wait for it.
      await delay(300);
      const ended = ending(channel);
      const [stdout, stderr] = await Promise.all([buffer(channel), buffer(channel.stderr)]);
      expect(digest(stdout)).toEqual(digest(Buffer.alloc(5_000_000, "o")));
      expect(digest(stderr)).toEqual(digest(Buffer.alloc(5_000_000, "e")));
      expect(await ended).toMatchObject({ code: 0 });
    });

    test("tell their exit code at once, and stay open while a child holds their outputs", async () => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      const directory = mkdtempSync(join(tmpdir(), "gps-test-"));
      const permit = join(directory, "speak");
      const child = `while [ ! -e ${permit} ]; do sleep 0.02; done; echo late`;
      const channel = await client.start(`(${child}) & read line; exit 4`);
      const ended = ending(channel);
      const output = buffer(channel);
      channel.stderr.resume();
      // Not before somebody listens for it.
      const exit = once(channel, "exit");
      channel.write("go on\n");
      expect(await exit).toEqual([4]);
      writeFileSync(permit, "");
      expect((await output).toString()).toBe("late\n");
      expect(await ended).toMatchObject({ code: 4 });
      rmSync(directory, { recursive: true });
    });

    test("tell their exit code after they closed their outputs", async () => {
      await using server = await kind.start();
      await using client = await PlainClient.connect(server);
      const channel = await client.start("exec >&- 2>&-; read line; exit 7");
      const ended = ending(channel);
      channel.stderr.resume();
      expect((await buffer(channel)).length).toBe(0);
      channel.end("go on\n");
      expect(await ended).toMatchObject({ code: 7 });
    });
  });
}
