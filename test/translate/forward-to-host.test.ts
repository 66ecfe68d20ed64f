import { once } from "node:events";
import type { Duplex } from "node:stream";
import { describe, expect, test, vi } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import type { Connection, Listener } from "../../src/contract/connection.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { later } from "../../src/lifetime/later.ts";
import { forwardToHost } from "../../src/translate/forward-to-host.ts";
import { rejectionOf } from "../connect/failure-of.ts";
import { Scratch } from "../connect/scratch.ts";
import { leavesNoTrace } from "../connect/traces.ts";
import { eventually } from "../tools/eventually.ts";
import { type End, echo, Side, twoEnds } from "./side.ts";

const BOX: Address = { network: "unix", path: "/box/host-1" };

/** A connection whose box listens as the test says. */
function fakeBox(answer: Promise<void> = Promise.resolve()) {
  let arrive: (stream: Duplex) => void = () => {};
  const close = vi.fn(async () => {});
  const listen = vi.fn(async (at: Address, onStream: (stream: Duplex) => void): Promise<Listener> => {
    arrive = onStream;
    await answer;
    return { address: at.network === "tcp" ? { ...at, port: 4321 } : at, close };
  });
  /** A connection of the plugin's: its own end of it. */
  const arrives = (): End => {
    const [plugin, ours] = twoEnds();
    for (const end of [plugin, ours]) end.on("error", () => {});
    arrive(ours);
    return plugin;
  };
  return { connection: { listen } as unknown as Connection, listen, close, arrives };
}

describe.each(["unix", "tcp"] as const)("a forward to the host, over %s", (network) => {
  /** Runs `task` with a listener on the host's side, and checks that nothing stays. */
  async function withHost(task: (host: Side) => Promise<void>): Promise<void> {
    await using scratch = await Scratch.make();
    await leavesNoTrace(async () => {
      const at: Address =
        network === "unix" ? { network, path: scratch.path("host") } : { network, host: "127.0.0.1", port: 0 };
      await using host = await Side.listen(at, echo);
      await task(host);
    });
  }

  test("makes one connection for each that arrives, and none before", () =>
    withHost(async (host) => {
      const { connection, listen, arrives } = fakeBox();
      const onGone = vi.fn();
      const signal = new AbortController().signal;
      const forward = await forwardToHost(connection, BOX, host.address, onGone, signal);
      expect(forward.address).toEqual(BOX);
      expect(listen).toHaveBeenCalledWith(BOX, expect.any(Function), signal);
      expect(host.visits).toBe(0);
      const plugins = [arrives(), arrives()];
      for (const [index, plugin] of plugins.entries()) {
        expect((await plugin.end(`hello ${index}`).toArray()).join("")).toBe(`hello ${index}`);
      }
      expect(host.visits).toBe(2);
      expect(onGone).not.toHaveBeenCalled();
      await forward.close();
    }));

  test("tells the port that the box chose", () =>
    withHost(async (host) => {
      const { connection } = fakeBox();
      const at: Address = { network: "tcp", host: "127.0.0.1", port: 0 };
      const forward = await forwardToHost(connection, at, host.address, () => {});
      expect(forward.address).toEqual({ ...at, port: 4321 });
      await forward.close();
    }));

  test("ends what goes through it when it is closed, and tells the box", () =>
    withHost(async (host) => {
      const { connection, close, arrives } = fakeBox();
      const onGone = vi.fn();
      const forward = await forwardToHost(connection, BOX, host.address, onGone);
      const plugin = arrives();
      plugin.write("hello");
      await once(plugin, "data");
      await forward.close();
      await eventually(() => plugin.destroyed, { what: "the plugin's end to be closed" });
      expect(close).toHaveBeenCalled();
      expect(onGone).not.toHaveBeenCalled();
      await forward.close();
    }));

  test("when the host listens no more, the box is told once; who is connected stays so", () =>
    withHost(async (host) => {
      const { connection, close, arrives } = fakeBox();
      const onGone = vi.fn();
      const forward = await forwardToHost(connection, BOX, host.address, onGone);
      const early = arrives();
      early.write("early");
      await once(early, "data");
      host.stopListening();
      const late = [arrives(), arrives()];
      await eventually(() => late.every((plugin) => plugin.destroyed), { what: "the late ones to be closed" });
      expect(onGone).toHaveBeenCalledTimes(1);
      expect(close).toHaveBeenCalledTimes(1);
      early.write("still here");
      expect(String((await once(early, "data"))[0])).toBe("still here");
      await forward.close();
      await eventually(() => early.destroyed, { what: "the early one to be closed" });
    }));

  test("when the host listens no more before the box has answered, nothing breaks", () =>
    withHost(async (host) => {
      host.stopListening();
      const answer = later<void>();
      const { connection, close, arrives } = fakeBox(answer.promise);
      const onGone = vi.fn();
      const making = forwardToHost(connection, BOX, host.address, onGone);
      const plugin = arrives();
      await eventually(() => plugin.destroyed, { what: "the plugin's end to be closed" });
      expect(onGone).toHaveBeenCalledTimes(1);
      answer.resolve();
      const forward = await making;
      expect(close).toHaveBeenCalled();
      await forward.close();
    }));

  test("passes on a failure of the plugin's end", () =>
    withHost(async (host) => {
      const { connection, arrives } = fakeBox();
      const onGone = vi.fn();
      const forward = await forwardToHost(connection, BOX, host.address, onGone);
      const plugin = arrives();
      plugin.write("hello");
      await once(plugin, "data");
      plugin.destroy(new RangeError("broken"));
      await eventually(() => host.sockets.size === 0, { what: "the host's end to be closed" });
      expect(onGone).not.toHaveBeenCalled();
      await forward.close();
    }));

  test("passes on a failure of the host's end", () =>
    withHost(async (host) => {
      const { connection, arrives } = fakeBox();
      const onGone = vi.fn();
      const forward = await forwardToHost(connection, BOX, host.address, onGone);
      const plugin = arrives();
      plugin.write("hello");
      await once(plugin, "data");
      for (const socket of host.sockets) {
        if (network === "tcp") socket.resetAndDestroy();
        else socket.destroy();
      }
      await eventually(() => plugin.resume().destroyed || plugin.readableEnded, { what: "the plugin's end to end" });
      expect(onGone).not.toHaveBeenCalled();
      await forward.close();
    }));
});

test("a box that does not listen: its reason, and nothing stays", async () => {
  const { connection } = fakeBox(Promise.reject(new PluginError("forward-forbidden", "no")));
  const host: Address = { network: "tcp", host: "127.0.0.1", port: 9 };
  expect(await rejectionOf(forwardToHost(connection, BOX, host, () => {}))).toMatchObject({
    code: "forward-forbidden",
  });
});

test("a forward to the host ends when the file of the host's socket is gone, though nobody has connected", async () => {
  await using scratch = await Scratch.make();
  const host = await Side.listen({ network: "unix", path: scratch.path("host") }, echo);
  const { connection, close } = fakeBox();
  const onGone = vi.fn();
  const forward = await forwardToHost(connection, BOX, host.address, onGone);
  expect(close).not.toHaveBeenCalled();
  await host[Symbol.asyncDispose]();
  await eventually(() => close.mock.calls.length === 1, { what: "the box to be told" });
  expect(onGone).toHaveBeenCalledTimes(1);
  await forward.close();
});
