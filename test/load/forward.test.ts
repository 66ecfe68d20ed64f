import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { type Bench, opensshKind } from "../contract/runner-kinds.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { type ForwardingHost, startHost } from "./host.ts";
import { answer, digestOf, download, look, open, send, upload } from "./moving.ts";
import { sshForward } from "./ssh-forward.ts";

const MIB = 1024 * 1024;
/** How much goes each way. */
const BULK = Number(process.env.GO_PLUGIN_SSH_TEST_LOAD_MIB ?? 1024) * MIB;
/** Far more than a host needs, and far less than what passes through it. */
const PEAK_MB = 400;
/** Short connections, one after the other on each of the lines. */
const VISITS = 10_000;
const LINES = 20;

describe.skipIf(!hasTier("openssh"))("one forward", { timeout: 600_000 }, () => {
  test("carries far more than the host holds, each way, and each end by itself", async () => {
    await using bench = await opensshKind().open();
    await using host = await startHost(bench, built());
    const ours = { up: await upload(host.host, BULK), down: await download(host.host, BULK) };
    const { peakMb, warnings } = await host.look();
    expect(warnings).toEqual([]);
    expect(peakMb).toBeLessThan(PEAK_MB);
    await using ssh = await sshForward(need(bench), host.plugin, bench.directory);
    const theirs = { up: await upload(ssh.host, BULK / 4), down: await download(ssh.host, BULK / 4) };
    say(`${BULK / MIB} MiB each way: the host's memory peaked at ${Math.round(peakMb)} MiB`);
    say(`to the plugin ${compare(ours.up, theirs.up)}, from it ${compare(ours.down, theirs.down)}`);
  });

  test("carries 200 connections at once", async () => {
    await using bench = await opensshKind().open();
    await using host = await startHost(bench, built());
    const ours = await atOnce(host.host);
    await using ssh = await sshForward(need(bench), host.plugin, bench.directory);
    say(`200 at once: ${compare(ours, await atOnce(ssh.host))}`);
  });

  test("carries 10,000 short connections, and nothing grows", async () => {
    await using bench = await opensshKind().open();
    await using host = await startHost(bench, built());
    // What is made once is made now.
    await visits(host.host, 200);
    const before = await everywhere(bench, host);
    const heldBefore = (await host.look()).heldMb;
    const began = performance.now();
    await visits(host.host, VISITS);
    const ours = VISITS / ((performance.now() - began) / 1000);
    // Some of the first visits may still have been under way to their end, so there may be less.
    const more = async () => {
      const now = await everywhere(bench, host);
      return Object.entries(now).filter(([name, count]) => count > before[name as keyof typeof before]);
    };
    await eventually(async () => expect(await more()).toEqual([]) ?? true, {
      what: "all that was opened to be closed",
      timeoutMs: 60_000,
    });
    const { heldMb, warnings } = await host.look();
    expect(warnings).toEqual([]);
    // Less than 700 bytes for each of them.
    expect(heldMb - heldBefore).toBeLessThan(7);
    await using ssh = await sshForward(need(bench), host.plugin, bench.directory);
    const again = performance.now();
    await visits(ssh.host, VISITS / 10);
    const theirs = VISITS / 10 / ((performance.now() - again) / 1000);
    say(`short connections: the host holds ${(heldMb - heldBefore).toFixed(1)} MiB more than before`);
    say(`short connections: ${Math.round(ours)} a second, ${(ours / theirs).toFixed(2)} of ssh -L`);
  });
});

describe.skipIf(!hasTier("openssh"))(
  "a slow reader holds up its sender, who loses nothing:",
  { timeout: 600_000 },
  () => {
    /** More than all buffers on the way hold. */
    const total = 64 * MIB;

    test("the host's side", async () => {
      await using bench = await opensshKind().open();
      await using host = await startHost(bench, built());
      const socket = await open(host.host, `give ${total}`);
      const sent = await settled(async () => (await look(host.host)).sent);
      expect(sent).toBeLessThan(total / 2);
      const { peakMb } = await host.look();
      expect(peakMb).toBeLessThan(PEAK_MB);
      const { length, digest } = await digestOf(socket);
      socket.end("done");
      await eventually(async () => (await look(host.host)).heard === "done", { what: "our end", timeoutMs: 20_000 });
      expect({ length, digest }).toEqual({ length: total, digest: (await look(host.host)).digest });
    });

    test("the plugin's side", async () => {
      await using bench = await opensshKind().open();
      await using host = await startHost(bench, built());
      const socket = await open(host.host, "take-later");
      let sent = 0;
      const sending = send(socket, total, (so) => {
        sent = so;
      });
      expect(await settled(async () => sent)).toBeLessThan(total / 2);
      expect((await look(host.host)).taken).toBe(0);
      (await open(host.host, "go-on")).end();
      expect(await answer(socket)).toBe(`${total} ${await sending}`);
    });
  },
);

/** Sends a mebibyte along each of 200 connections that are open at the same time; gives bytes per second. */
async function atOnce(path: string): Promise<number> {
  const began = performance.now();
  const sockets = await Promise.all(Array.from({ length: 200 }, () => open(path, "take")));
  await Promise.all(
    sockets.map(async (socket, n) => {
      const total = MIB + n;
      const answered = answer(socket);
      const digest = await send(socket, total);
      expect(await answered).toBe(`${total} ${digest}`);
    }),
  );
  return (200 * MIB) / ((performance.now() - began) / 1000);
}

/** Connects so often, says a word each time and hears it again. */
async function visits(path: string, times: number): Promise<void> {
  const line = async (first: number) => {
    for (let n = first; n < times; n += LINES) {
      const socket = await open(path, "echo");
      socket.end(`visit ${n}`);
      expect(await answer(socket)).toBe(`visit ${n}`);
    }
  };
  await Promise.all(Array.from({ length: LINES }, (_, first) => line(first)));
}

/** What is open in the host, in the plugin and in sshd. */
async function everywhere(bench: Bench, host: ForwardingHost) {
  const { listeners, descriptors } = await host.look();
  const plugin = (await look(host.plugin)).descriptors;
  const sshd = need(bench)
    .sessionPids()
    .reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0);
  return { listeners, descriptors, plugin, sshd };
}

/** A number of bytes, when it grows no more. */
async function settled(read: () => Promise<number>): Promise<number> {
  let [last, same] = [-1, 0];
  return eventually(
    async () => {
      const now = await read();
      same = now > 0 && now === last ? same + 1 : 0;
      last = now;
      return same >= 60 && now;
    },
    { timeoutMs: 30_000, what: "the sender to be held up", state: () => last },
  );
}

function compare(ours: number, theirs: number): string {
  return `${Math.round(ours / MIB)} MiB/s (${(ours / theirs).toFixed(2)} of ssh -L)`;
}

function say(line: string): void {
  process.stdout.write(`load: ${line}\n`);
}

function need(bench: Bench) {
  if (!bench.server) throw new TypeError("This bench has no server.");
  return bench.server;
}
