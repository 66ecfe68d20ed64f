import { once } from "node:events";
import { readdir, stat } from "node:fs/promises";
import { connect as connectSocket } from "node:net";
import type { Duplex } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { later } from "../../src/lifetime/later.ts";
import { forwardToPlugin } from "../../src/translate/forward-to-plugin.ts";
import { rejectionOf } from "../connect/failure-of.ts";
import { Scratch } from "../connect/scratch.ts";
import { leavesNoTrace } from "../connect/traces.ts";
import { eventually } from "../tools/eventually.ts";
import { closed, dial, type End, echo, received, Side, twoEnds, visit } from "./side.ts";

const PLUGIN: Address = { network: "unix", path: "/box/plugin" };
const TCP: Address = { network: "tcp", host: "127.0.0.1", port: 0 };

/** A box that gives one end of a stream to the forward and keeps the other. */
function box() {
  const kept: End[] = [];
  const signals: AbortSignal[] = [];
  const connect = async (signal: AbortSignal): Promise<Duplex> => {
    const [given, other] = twoEnds();
    for (const end of [given, other]) end.on("error", () => {});
    signals.push(signal);
    kept.push(other);
    return given;
  };
  return { kept, signals, connect };
}

describe.each(["unix", "tcp"] as const)("a forward to the plugin, over %s", (network) => {
  /** Runs `task` with a place to listen, and checks that nothing stays. */
  async function withPlace(task: (at: Address) => Promise<void>): Promise<void> {
    await using scratch = await Scratch.make();
    await leavesNoTrace(() => task(network === "tcp" ? TCP : { network, path: scratch.path("socket") }));
    expect(await readdir(scratch.directory)).toEqual([]);
  }

  test("makes one connection for each that arrives, and none before", () =>
    withPlace(async (at) => {
      const { kept, connect } = box();
      const forward = await forwardToPlugin(at, PLUGIN, connect);
      expect(kept).toHaveLength(0);
      const one = await dial(forward.address);
      await eventually(() => kept.length === 1, { what: "a connection to the plugin" });
      const two = await dial(forward.address);
      await eventually(() => kept.length === 2, { what: "another one" });
      one.write("one");
      two.write("two");
      expect(String((await once(kept[0] as End, "data"))[0])).toBe("one");
      expect(String((await once(kept[1] as End, "data"))[0])).toBe("two");
      kept[0]?.write("ONE");
      expect(String((await once(one, "data"))[0])).toBe("ONE");
      await forward.close();
      await Promise.all([closed(one), closed(two)]);
      for (const end of kept) expect(end.destroyed).toBe(true);
    }));

  test("loses nothing that was sent before the plugin was reached", () =>
    withPlace(async (at) => {
      const gate = later<void>();
      const { kept, connect } = box();
      const forward = await forwardToPlugin(at, PLUGIN, async (signal) => {
        await gate.promise;
        return connect(signal);
      });
      const host = await dial(forward.address);
      host.end("early");
      await once(host, "finish");
      gate.resolve();
      await eventually(() => kept.length === 1, { what: "a connection to the plugin" });
      expect(String(await received(kept[0] as End))).toBe("early");
      kept[0]?.end("late");
      expect(String(await received(host))).toBe("late");
      await forward.close();
    }));

  test("closes the host's connection when the plugin cannot be reached, and goes on listening", () =>
    withPlace(async (at) => {
      const connect = vi.fn(() => Promise.reject(new PluginError("forward-failed", "no")));
      const forward = await forwardToPlugin(at, PLUGIN, connect);
      for (const count of [1, 2]) {
        // No end that could be taken for the plugin's answer, where the network can tell.
        expect(await visit(forward.address)).toBe(network === "tcp" ? "ECONNRESET" : "");
        expect(connect).toHaveBeenCalledTimes(count);
      }
      await forward.close();
    }));

  test("gives up reaching the plugin when it is closed, and closes what comes then", () =>
    withPlace(async (at) => {
      const answer = later<Duplex>();
      const signals: AbortSignal[] = [];
      const forward = await forwardToPlugin(at, PLUGIN, (signal) => {
        signals.push(signal);
        return answer.promise;
      });
      const host = await dial(forward.address);
      await eventually(() => signals.length === 1, { what: "the connecting to begin" });
      await forward.close();
      expect(signals[0]?.aborted).toBe(true);
      await closed(host);
      const [given, other] = twoEnds();
      answer.resolve(given);
      await eventually(() => other.destroyed, { what: "the late stream to be closed" });
    }));

  test("may be closed often, and refuses from then on", () =>
    withPlace(async (at) => {
      const forward = await forwardToPlugin(at, PLUGIN, box().connect);
      await Promise.all([forward.close(), forward.close()]);
      await forward.close();
      await expect(dial(forward.address)).rejects.toMatchObject({
        code: network === "tcp" ? "ECONNREFUSED" : "ENOENT",
      });
    }));

  test("passes on a failure of the plugin's end", () =>
    withPlace(async (at) => {
      const { kept, connect } = box();
      const forward = await forwardToPlugin(at, PLUGIN, connect);
      const host = await dial(forward.address);
      await eventually(() => kept.length === 1, { what: "a connection to the plugin" });
      kept[0]?.destroy(new RangeError("broken"));
      await closed(host);
      await forward.close();
    }));

  test("passes on a failure of the host's end", () =>
    withPlace(async (at) => {
      const { kept, connect } = box();
      const forward = await forwardToPlugin(at, PLUGIN, connect);
      const host = await dial(forward.address);
      await eventually(() => kept.length === 1, { what: "a connection to the plugin" });
      if (network === "tcp") host.resetAndDestroy();
      else host.destroy();
      // A clean end may be all that a unix socket tells; then the plugin's answer is what finds nobody.
      await eventually(() => (kept[0] as End).resume().destroyed || (kept[0] as End).readableEnded, {
        what: "the end",
      });
      kept[0]?.end("nobody hears it");
      await forward.close();
      expect(kept[0]?.destroyed || kept[0]?.writableFinished).toBe(true);
    }));
});

test("many at once: no warning, and each reaches its own", async () => {
  await using scratch = await Scratch.make();
  await leavesNoTrace(async () => {
    await using plugin = await Side.listen({ network: "unix", path: scratch.path("plugin") }, echo);
    const gate = later<void>();
    let waiting = 0;
    const forward = await forwardToPlugin({ network: "unix", path: scratch.path("host") }, plugin.address, async () => {
      waiting += 1;
      await gate.promise;
      return connectSocket({ path: scratch.path("plugin"), allowHalfOpen: true });
    });
    const hosts = await Promise.all(Array.from({ length: 50 }, () => dial(forward.address)));
    await eventually(() => waiting === 50, { what: "all to be on their way" });
    gate.resolve();
    const answers = await Promise.all(
      hosts.map(async (host, index) => (await host.end(`${index}`).toArray()).join("")),
    );
    expect(answers).toEqual(hosts.map((_host, index) => `${index}`));
    await forward.close();
  });
});

describe("a place where nothing can listen", () => {
  test.each<[what: string, at: (scratch: Scratch) => Address]>([
    ["a directory that is not there", (scratch) => ({ network: "unix", path: scratch.path("none/socket") })],
    ["a port of somebody else", () => ({ network: "tcp", host: "192.0.2.1", port: 1 })],
  ])("%s", async (_what, at) => {
    await using scratch = await Scratch.make();
    const failure = await leavesNoTrace(() => rejectionOf(forwardToPlugin(at(scratch), PLUGIN, box().connect)));
    expect(failure.code).toBe("forward-failed");
    expect(failure.message).toContain("Nothing can listen on");
    expect(failure.cause).toBeInstanceOf(Error);
  });

  test("a path that is taken: the file stays", async () => {
    await using scratch = await Scratch.make();
    const path = await scratch.put("taken", "mine");
    const failure = await rejectionOf(forwardToPlugin({ network: "unix", path }, PLUGIN, box().connect));
    expect(failure).toMatchObject({ code: "forward-failed", cause: { code: "EADDRINUSE" } });
    expect((await stat(path)).isFile()).toBe(true);
  });
});
