import { once } from "node:events";
import { expect, test } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { connectTo, opensshKind } from "../contract/runner-kinds.ts";
import { hasTier } from "../tiers/tiers.ts";

/** As many as sshd takes on one connection (MaxSessions). */
const PLUGINS = [..."abcdefghij"];
const EACH = 16 * 1024 * 1024;

test.skipIf(!hasTier("openssh"))(
  "ten plugins on one connection flood stderr at once: not a byte goes astray",
  { timeout: 240_000 },
  async () => {
    await using bench = await opensshKind().open();
    const { server } = bench;
    if (!server) throw new TypeError("This bench has no server.");
    const { destination, ...options } = connectTo(server);
    await using connection = await connect(destination, options);
    const counts = await Promise.all(
      PLUGINS.map(async (letter, n) => {
        const command = bench.command("floods.sh", String(EACH + n), letter);
        await using runner = new SshRunner({ connection, command, directoryBase: bench.boxTmp, killGraceMs: 1000 });
        const count = { right: 0, wrong: 0 };
        runner.stdout.resume();
        runner.stderr.on("data", (chunk: Buffer) => {
          const right = chunk.equals(Buffer.alloc(chunk.length, letter));
          count[right ? "right" : "wrong"] += chunk.length;
        });
        const ended = once(runner.stderr, "end");
        await runner.start();
        await ended;
        return { ...count, exit: await runner.wait() };
      }),
    );
    const exit = { code: 0, signal: null };
    expect(counts).toEqual(PLUGINS.map((_letter, n) => ({ right: EACH + n, wrong: 0, exit })));
  },
);
