import { mkdtemp, readdir, stat } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { dirname } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import type { Connection, Listener } from "../../src/contract/connection.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { later } from "../../src/lifetime/later.ts";
import { AddressBook, type AddressBookOptions } from "../../src/translate/address-book.ts";
import { rejectionOf } from "../connect/failure-of.ts";
import { Scratch } from "../connect/scratch.ts";
import { leavesNoTrace } from "../connect/traces.ts";
import { eventually } from "../tools/eventually.ts";
import { dial, twoEnds } from "./side.ts";

vi.mock("node:fs/promises", { spy: true });
vi.mock("node:net", { spy: true });

const PLUGIN: Address = { network: "unix", path: "/box/plugin4711" };
const PLUGIN_TCP: Address = { network: "tcp", host: "127.0.0.1", port: 4711 };
const HOST: Address = { network: "unix", path: "/run/host" };

let scratch: Scratch;

beforeEach(async () => {
  scratch = await Scratch.make();
  vi.stubEnv("TMPDIR", scratch.directory);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await scratch[Symbol.asyncDispose]();
});

/** A book over a box that does as the test says. */
function bookWith(more: Partial<AddressBookOptions> = {}, answer: Promise<unknown> = Promise.resolve()) {
  const close = vi.fn(async () => {});
  const listen = vi.fn(async (at: Address, _onStream: unknown, signal?: AbortSignal): Promise<Listener> => {
    await Promise.race([
      answer,
      new Promise((_resolve, reject) => signal?.addEventListener("abort", () => reject(signal.reason))),
    ]);
    return { address: at.network === "tcp" ? { ...at, port: 4321 } : at, close };
  });
  const openStream = vi.fn(async () => {
    const [given, other] = twoEnds();
    for (const end of [given, other]) end.on("error", () => {});
    return given;
  });
  const book = new AddressBook({
    connection: { listen } as unknown as Connection,
    openStream,
    boxDirectory: "/box/gp-1",
    platform: "Linux",
    hostNetwork: "unix",
    ...more,
  });
  return { book, listen, close, openStream };
}

describe("an address of the plugin", () => {
  test("becomes a socket that only we can reach, named after it", () =>
    leavesNoTrace(async () => {
      const { book, openStream } = bookWith();
      const [unix, tcp] = [await book.pluginToHost(PLUGIN), await book.pluginToHost(PLUGIN_TCP)];
      if (unix.network !== "unix" || tcp.network !== "unix") throw new TypeError("They are no sockets.");
      expect(unix.path).toMatch(/\/gps-\w+\/plugin4711-[0-9a-f]{8}$/);
      expect(tcp.path).toMatch(/\/gps-\w+\/tcp4711-[0-9a-f]{8}$/);
      expect(dirname(unix.path)).toBe(dirname(tcp.path));
      expect((await stat(dirname(unix.path))).mode & 0o777).toBe(0o700);
      expect(openStream).not.toHaveBeenCalled();
      await book.close();
      expect(await readdir(scratch.directory)).toEqual([]);
    }));

  test("becomes a port on the loopback where that is asked for", () =>
    leavesNoTrace(async () => {
      const { book } = bookWith({ hostNetwork: "tcp" });
      const host = await book.pluginToHost(PLUGIN);
      expect(host).toEqual({ network: "tcp", host: "127.0.0.1", port: expect.any(Number) });
      expect(host).not.toMatchObject({ port: 0 });
      expect(await readdir(scratch.directory)).toEqual([]);
      await book.close();
    }));

  test.each([
    ["a long name", `/box/${"x".repeat(60)}`],
    ["a name of many bytes", `/box/${"\u{1f600}".repeat(20)}`],
    ["an odd name", "/box/a b\nc"],
  ])("with %s becomes one with a short, plain name", (_what, path) =>
    leavesNoTrace(async () => {
      const { book } = bookWith();
      const host = await book.pluginToHost({ network: "unix", path });
      if (host.network !== "unix") throw new TypeError("It is no socket.");
      expect(host.path).toMatch(/^[\w./-]+$/);
      expect(Buffer.byteLength(host.path)).toBeLessThan(100);
      (await dial(host)).destroy();
      await book.close();
    }),
  );

  test("is one forward, however often it is asked for", () =>
    leavesNoTrace(async () => {
      const { book } = bookWith();
      const first = await Promise.all([1, 2, 3].map(() => book.pluginToHost(PLUGIN)));
      const again = await book.pluginToHost({ ...PLUGIN });
      expect(new Set([...first, again].map((address) => JSON.stringify(address))).size).toBe(1);
      expect(await readdir(dirname((again as { path: string }).path))).toHaveLength(1);
      await book.close();
    }));

  test.each<[what: string, one: Address, other: Address, same: boolean]>([
    ["everywhere and loopback", { ...PLUGIN_TCP, host: "0.0.0.0" }, PLUGIN_TCP, true],
    ["two ports", { ...PLUGIN_TCP, port: 1 }, PLUGIN_TCP, false],
    ["two paths", { network: "unix", path: "/box/other" }, PLUGIN, false],
    ["the two loopbacks", { ...PLUGIN_TCP, host: "::1" }, PLUGIN_TCP, false],
  ])("%s", async (_what, one, other, same) => {
    const { book } = bookWith();
    const [a, b] = [await book.pluginToHost(one), await book.pluginToHost(other)];
    expect(JSON.stringify(a) === JSON.stringify(b)).toBe(same);
    await book.close();
  });

  test("elsewhere is refused", async () => {
    const { book, listen } = bookWith();
    const elsewhere: Address = { network: "tcp", host: "192.0.2.7", port: 1 };
    expect(await rejectionOf(book.pluginToHost(elsewhere))).toMatchObject({ code: "handshake-failed" });
    expect(listen).not.toHaveBeenCalled();
    const { book: allowing } = bookWith({ allowAddress: () => true });
    expect(allowing.check(elsewhere)).toEqual(elsewhere);
    await Promise.all([book.close(), allowing.close()]);
  });

  test("is tried again after no directory could be made", async () => {
    const { book } = bookWith();
    vi.mocked(mkdtemp).mockRejectedValue(new RangeError("no room"));
    expect(await rejectionOf(book.pluginToHost(PLUGIN))).toMatchObject({ code: "forward-failed" });
    vi.mocked(mkdtemp).mockRestore();
    expect(await book.pluginToHost(PLUGIN)).toMatchObject({ network: "unix" });
    await book.close();
  });
});

describe("an address of the host", () => {
  test("becomes a fresh socket in the supervisor's directory", async () => {
    const { book, listen } = bookWith();
    const plugin = await book.hostToPlugin(HOST);
    expect(plugin).toEqual({ network: "unix", path: expect.stringMatching(/^\/box\/gp-1\/host-[0-9a-f]{8}$/) });
    expect(listen).toHaveBeenCalledTimes(1);
    expect(await book.hostToPlugin({ network: "unix", path: "/run/other" })).not.toEqual(plugin);
    await book.close();
  });

  test("becomes a port on the box's loopback if it is one here", async () => {
    const { book } = bookWith();
    const plugin = await book.hostToPlugin({ network: "tcp", host: "127.0.0.1", port: 5 });
    expect(plugin).toEqual({ network: "tcp", host: "127.0.0.1", port: 4321 });
    await book.close();
  });

  test("is one forward, also when it is asked for at once; each is closed once", async () => {
    const { book, listen, close } = bookWith();
    const first = await Promise.all([1, 2, 3].map(() => book.hostToPlugin(HOST)));
    expect(new Set([...first, await book.hostToPlugin(HOST)]).size).toBe(1);
    expect(listen).toHaveBeenCalledTimes(1);
    await Promise.all([book.close(), book.close()]);
    await book.close();
    expect(close).toHaveBeenCalledTimes(1);
  });

  test("with a path that the system would cut off is refused", async () => {
    const { book, listen } = bookWith();
    const path = `/${"x".repeat(200)}`;
    expect(await rejectionOf(book.hostToPlugin({ network: "unix", path }))).toMatchObject({ code: "forward-failed" });
    expect(listen).not.toHaveBeenCalled();
    await book.close();
  });

  test.each([
    ["Linux", 107],
    ["Darwin", 103],
  ])("whose path on the box would be too long is refused: %s", async (platform, longest) => {
    const name = "/host-12345678".length;
    const { book: fits } = bookWith({ platform, boxDirectory: `/${"x".repeat(longest - name - 1)}` });
    await fits.hostToPlugin(HOST);
    const { book: tooLong } = bookWith({ platform, boxDirectory: `/${"x".repeat(longest - name)}` });
    const failure = await rejectionOf(tooLong.hostToPlugin(HOST));
    expect(failure).toMatchObject({ code: "forward-failed", hint: expect.stringContaining("`directoryBase`") });
    await Promise.all([fits.close(), tooLong.close()]);
  });

  test("that failed is tried again", async () => {
    const { book, listen } = bookWith();
    listen.mockRejectedValueOnce(new PluginError("forward-forbidden", "no"));
    const both = [book.hostToPlugin(HOST), book.hostToPlugin(HOST)].map(rejectionOf);
    expect((await Promise.all(both)).map(({ code }) => code)).toEqual(["forward-forbidden", "forward-forbidden"]);
    expect(await book.hostToPlugin(HOST)).toMatchObject({ network: "unix" });
    expect(listen).toHaveBeenCalledTimes(2);
    await book.close();
  });

  test("that nobody listens on any more is forgotten: the next one to ask gets another", async () => {
    const { book, listen, close } = bookWith();
    const gone: Address = { network: "unix", path: scratch.path("gone") };
    const first = await book.hostToPlugin(gone);
    const onStream = listen.mock.calls[0]?.[1] as (stream: unknown) => void;
    const [plugin, ours] = twoEnds();
    for (const end of [plugin, ours]) end.on("error", () => {});
    onStream(ours);
    await eventually(() => close.mock.calls.length === 1, { what: "the box to be told" });
    const second = await book.hostToPlugin(gone);
    expect(second).not.toEqual(first);
    // A straggler of the first one takes nothing away.
    const [straggler, its] = twoEnds();
    for (const end of [straggler, its]) end.on("error", () => {});
    onStream(its);
    await eventually(() => straggler.destroyed, { what: "the straggler to be sent away" });
    expect(await book.hostToPlugin(gone)).toEqual(second);
    await book.close();
  });
});

describe("those who give up", () => {
  test("disturb nobody else", async () => {
    const answer = later<void>();
    const { book, listen } = bookWith({}, answer.promise);
    const giveUp = new AbortController();
    const one = rejectionOf(book.hostToPlugin(HOST, giveUp.signal));
    const other = book.hostToPlugin(HOST);
    giveUp.abort();
    expect(await one).toMatchObject({ code: "aborted" });
    answer.resolve();
    expect(await other).toMatchObject({ network: "unix" });
    expect(listen).toHaveBeenCalledTimes(1);
    await book.close();
  });

  test("end the attempt when they were the last, and the next one begins anew", async () => {
    const answer = later<void>();
    const { book, listen, close } = bookWith({}, answer.promise);
    const giveUp = new AbortController();
    const waiting = [1, 2].map(() => rejectionOf(book.hostToPlugin(HOST, giveUp.signal)));
    giveUp.abort();
    expect((await Promise.all(waiting)).map(({ code }) => code)).toEqual(["aborted", "aborted"]);
    expect(listen.mock.calls[0]?.[2]?.aborted).toBe(true);
    answer.resolve();
    expect(await book.hostToPlugin(HOST)).toMatchObject({ network: "unix" });
    expect(listen).toHaveBeenCalledTimes(2);
    await book.close();
    expect(close).toHaveBeenCalledTimes(1);
  });

  test("leave nothing behind for one who asks in that moment", async () => {
    // The leaving goes through several turns of the microtask queue.
    for (let turns = 0; turns < 16; turns += 1) {
      const answer = later<void>();
      const { book } = bookWith({}, answer.promise);
      const giveUp = new AbortController();
      const leaving = rejectionOf(book.hostToPlugin(HOST, giveUp.signal));
      await undefined;
      giveUp.abort();
      for (let turn = 0; turn < turns; turn += 1) await undefined;
      const coming = book.hostToPlugin(HOST);
      answer.resolve();
      expect(await leaving).toMatchObject({ code: "aborted" });
      expect(await book.hostToPlugin(HOST)).toEqual(await coming);
      await book.close();
    }
  });

  test("beforehand begin nothing", () =>
    leavesNoTrace(async () => {
      const { book, listen } = bookWith();
      const signal = AbortSignal.abort();
      expect(await rejectionOf(book.hostToPlugin(HOST, signal))).toMatchObject({ code: "aborted" });
      expect(await rejectionOf(book.pluginToHost(PLUGIN, signal))).toMatchObject({ code: "aborted" });
      expect(listen).not.toHaveBeenCalled();
      expect(await readdir(scratch.directory)).toEqual([]);
      await book.close();
    }));

  test("on an address of the plugin leave no socket and no listener", () =>
    leavesNoTrace(async () => {
      const { book } = bookWith();
      const giveUp = new AbortController();
      const asking = rejectionOf(book.pluginToHost(PLUGIN, giveUp.signal));
      giveUp.abort();
      expect(await asking).toMatchObject({ code: "aborted" });
      const host = await book.pluginToHost(PLUGIN);
      expect(await readdir(dirname((host as { path: string }).path))).toHaveLength(1);
      await book.close();
      expect(await readdir(scratch.directory)).toEqual([]);
    }));
});

describe("closing the book", () => {
  test("ends what is being made: nobody waits, nothing stays", () =>
    leavesNoTrace(async () => {
      const { book, listen } = bookWith({}, new Promise(() => {}));
      const asking = [rejectionOf(book.hostToPlugin(HOST)), rejectionOf(book.pluginToHost(PLUGIN))];
      await book.close();
      expect((await Promise.all(asking)).map(({ code }) => code)).toEqual(["closed", "closed"]);
      expect(listen.mock.calls[0]?.[2]?.aborted).toBe(true);
      expect(await readdir(scratch.directory)).toEqual([]);
    }));

  test.each(["unix", "tcp"] as const)("at every moment of the making leaves nothing: %s", async (hostNetwork) => {
    const servers = vi.mocked(createServer);
    servers.mockClear();
    const made = () => servers.mock.results.map(({ value }) => value as Server);
    const listening = () => made().filter((server) => server.listening).length;
    let late = 0;
    for (let turns = 0; turns < 12; turns += 1) {
      const { book } = bookWith({ hostNetwork });
      const asking = Promise.allSettled([book.pluginToHost(PLUGIN), book.pluginToHost(PLUGIN_TCP)]);
      for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      await book.close();
      expect(listening()).toBe(0);
      for (const server of made()) server.on("listening", () => (late += 1));
      servers.mockClear();
      expect(await readdir(scratch.directory)).toEqual([]);
      await asking;
    }
    expect(late).toBe(0);
  });

  test("refuses more", async () => {
    const { book, listen } = bookWith();
    await book.close();
    expect(await rejectionOf(book.hostToPlugin(HOST))).toMatchObject({ code: "closed" });
    expect(await rejectionOf(book.pluginToHost(PLUGIN))).toMatchObject({ code: "closed" });
    expect(listen).not.toHaveBeenCalled();
    expect(await readdir(scratch.directory)).toEqual([]);
  });

  test("that has nothing to undo", () =>
    leavesNoTrace(async () => {
      await using _ = bookWith().book;
    }));
});
