import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import type { Socket } from "node:net";
import { describe, expect, test } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import { rejectionOf } from "../connect/failure-of.ts";
import { leavesNoTrace } from "../connect/traces.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { serverKinds } from "../servers/kinds.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { Restrictions } from "../servers/server.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { Bridge, type Way } from "./bridge.ts";
import { closed, dial, echo, received, Side, visit } from "./side.ts";

const WAYS: Way[] = ["plugin to host", "host to plugin"];
const MEGABYTE = 2 ** 20;
const sha256 = (bytes: Buffer) => createHash("sha256").update(bytes).digest("hex");

const cases = serverKinds
  .filter(({ available }) => available)
  .flatMap(({ name, start }) =>
    WAYS.flatMap((way) => (["unix", "tcp"] as const).map((network) => ({ name, start, way, network }))),
  );

describe.each(cases)("$way, $network, over $name", ({ start, way, network }) => {
  /** Runs `task` between a listener on one side and its translated address on the other; nothing may stay. */
  async function withForward(
    onVisit: (socket: Socket) => void,
    task: (there: Address, side: Side, bridge: Bridge) => Promise<void>,
  ): Promise<void> {
    await using server = await start();
    await leavesNoTrace(async () => {
      await using bridge = await Bridge.make(server, { hostNetwork: network });
      await using side = await Side.listen(bridge.place(network), onVisit);
      await task(await bridge.translate(way, side.address), side, bridge);
      await bridge.book.close();
      expect(await readdir(bridge.scratch.path("here"))).toEqual([]);
    });
  }

  test("5 MB both ways, and each way ends by itself", async () => {
    const [there, back] = [randomBytes(5 * MEGABYTE), randomBytes(5 * MEGABYTE)];
    const arrived: Promise<Buffer>[] = [];
    await withForward(
      (socket) => {
        arrived.push(received(socket));
        socket.end(back);
      },
      async (address, side) => {
        const socket = await dial(address);
        const answer = received(socket);
        socket.end(there);
        expect(sha256(await answer)).toBe(sha256(back));
        await eventually(() => arrived.length === 1, { what: "the visit" });
        expect(sha256((await arrived[0]) as Buffer)).toBe(sha256(there));
        expect(side.visits).toBe(1);
      },
    );
  });

  test("one who calls may end first and still hear the answer", async () => {
    await withForward(
      async (socket) => {
        const question = await received(socket);
        socket.end(`${question}?`);
      },
      async (address) => {
        const socket = await dial(address);
        const answer = received(socket);
        socket.end("well");
        expect(String(await answer)).toBe("well?");
      },
    );
  });

  test("one who is called may end first and still hear more", async () => {
    const heard: Promise<Buffer>[] = [];
    await withForward(
      (socket) => {
        heard.push(received(socket));
        socket.end("enough said");
      },
      async (address) => {
        const socket = await dial(address);
        expect(String(await received(socket))).toBe("enough said");
        socket.end("one more thing");
        expect(String(await heard[0])).toBe("one more thing");
      },
    );
  });

  test("two hundred at once", async () => {
    await withForward(echo, async (address, side) => {
      const sockets: Socket[] = [];
      // sshd's queue for those who arrive at a unix socket holds 128, and Node does not wait in it.
      for (let group = 0; group < 4; group += 1) {
        const arrived = await Promise.all(
          Array.from({ length: 50 }, async () => {
            const socket = await dial(address);
            socket.write("x");
            await once(socket, "data");
            return socket;
          }),
        );
        sockets.push(...arrived);
      }
      expect(side.sockets.size).toBe(200);
      const answers = sockets.map(async (socket, index) => {
        const answer = received(socket);
        socket.end(`number ${index}`);
        return String(await answer);
      });
      expect(await Promise.all(answers)).toEqual(sockets.map((_socket, index) => `number ${index}`));
      expect(side.visits).toBe(200);
    });
  });

  test("a reader who stalls holds up the writer, and gets everything in the end", async () => {
    const total = 64 * MEGABYTE;
    const stalled: Socket[] = [];
    await withForward(
      (socket) => stalled.push(socket.pause()),
      async (address) => {
        const socket = await dial(address);
        const digest = createHash("sha256");
        const accepted = writeAll(socket, total, (chunk) => digest.update(chunk));
        // Before there is a reader, it is the way there that holds up the writer.
        await eventually(() => stalled.length === 1, { what: "the reader" });
        const bytes = await settled(accepted);
        // A window and a buffer of 2 MB on each side of the link; for TCP the system's own buffers come on top.
        expect(bytes).toBeLessThan((network === "unix" ? 10 : 24) * MEGABYTE);
        const reader = stalled[0] as Socket;
        const answer = createHash("sha256");
        reader.on("data", (chunk) => answer.update(chunk));
        await once(reader.resume(), "end");
        expect(accepted.bytes).toBe(total);
        expect(answer.digest("hex")).toBe(digest.digest("hex"));
        reader.end();
        await closed(socket);
      },
    );
  });

  test("whoever is called may reset: the caller's connection ends", async () => {
    await withForward(
      (socket) => socket.once("data", () => (network === "tcp" ? socket.resetAndDestroy() : socket.destroy())),
      async (address, side) => {
        const socket = await dial(address);
        socket.write("hello");
        await closed(socket);
        expect(side.visits).toBe(1);
      },
    );
  });

  test("whoever calls may reset: the other's connection ends", async () => {
    await withForward(
      (socket) => void socket.on("end", () => socket.end()).write("hello"),
      async (address, side) => {
        const socket = await dial(address);
        await once(socket, "data");
        if (network === "tcp") socket.resetAndDestroy();
        else socket.destroy();
        await eventually(() => side.visits === 1 && side.sockets.size === 0, { what: "the other end to end" });
      },
    );
  });

  test("undone while connections are open: they end, and no more come", async () => {
    await withForward(
      (socket) => void socket.on("end", () => socket.end()).write("hello"),
      async (address, side, bridge) => {
        const sockets = await Promise.all([dial(address), dial(address)]);
        await Promise.all(sockets.map((socket) => once(socket, "data")));
        await bridge.book.close();
        await Promise.all(sockets.map(closed));
        await eventually(() => side.sockets.size === 0, { what: "the other ends to end" });
        await eventually(async () => !(await gets(address)), { what: "the address to be gone" });
        expect(side.visits).toBe(2);
      },
    );
  });

  test("a lost connection ends everything that goes through it", async () => {
    await using server = await start();
    await leavesNoTrace(async () => {
      await using bridge = await Bridge.make(server, { hostNetwork: network });
      await using side = await Side.listen(bridge.place(network), (socket) => {
        socket.on("end", () => socket.end()).write("hello");
      });
      const socket = await dial(await bridge.translate(way, side.address));
      await once(socket, "data");
      const lost = once(bridge.connection.lost, "abort");
      server.killSessions("SIGKILL");
      await lost;
      await closed(socket);
      await eventually(() => side.sockets.size === 0, { what: "the other end to end" });
      expect(await rejectionOf(bridge.book.hostToPlugin(bridge.place("unix")))).toMatchObject({
        code: "connection-lost",
      });
    });
    await server.stop({ leftovers: "end" });
  });
});

describe("over the embedded server", () => {
  test("nothing is opened on the box before somebody connects here, and one channel for each then", async () => {
    await using server = await startEmbedded();
    await using bridge = await Bridge.make(server);
    await using plugin = await Side.listen(bridge.place("unix"), echo);
    const host = await bridge.book.pluginToHost(plugin.address);
    await bridge.book.pluginToHost(plugin.address);
    expect(bridge.openStream).not.toHaveBeenCalled();
    expect(server.embedded.channels).toBe(0);
    expect(plugin.visits).toBe(0);
    const sockets = [await dial(host), await dial(host)];
    await eventually(() => plugin.visits === 2, { what: "both to arrive" });
    expect(server.embedded.channels).toBe(2);
    for (const socket of sockets) {
      socket.end();
      await closed(socket);
    }
    await eventually(() => server.embedded.channels === 0, { what: "the channels to close" });
    expect(plugin.visits).toBe(2);
  });

  test("a plugin that is not there: the host's connection ends, and no channel stays", async () => {
    await using server = await startEmbedded();
    await using bridge = await Bridge.make(server);
    const host = await bridge.book.pluginToHost(bridge.place("unix"));
    const socket = await dial(host);
    await closed(socket);
    expect(bridge.openStream).toHaveBeenCalledTimes(1);
    expect(server.embedded.channels).toBe(0);
  });

  test("a host that hangs up before the plugin is reached leaves no channel", async () => {
    await using server = await startEmbedded({ hangAt: "channel" });
    await using bridge = await Bridge.make(server, { hostNetwork: "tcp" });
    const host = await bridge.book.pluginToHost(bridge.place("unix"));
    const socket = await dial(host);
    await eventually(() => bridge.openStream.mock.calls.length === 1, { what: "the plugin to be asked for" });
    await bridge.book.close();
    await closed(socket);
    expect(server.embedded.channels).toBe(0);
  });

  test("a host that stopped listening: the box stops too, and a new listener gets a new address", async () => {
    await using server = await startEmbedded();
    await using bridge = await Bridge.make(server);
    const at = bridge.place("unix");
    const host = await Side.listen(at, echo);
    const plugin = await bridge.book.hostToPlugin(at);
    expect(server.embedded.forwards).toBe(1);
    await host[Symbol.asyncDispose]();
    // Once a second it is looked whether the host's socket is there, so the box may have stopped already.
    await visit(plugin);
    await eventually(() => server.embedded.forwards === 0, { what: "the box to stop listening" });
    await using again = await Side.listen(at, echo);
    const second = await bridge.book.hostToPlugin(at);
    expect(second).not.toEqual(plugin);
    const socket = await dial(second);
    socket.end("hello");
    expect(String(await received(socket))).toBe("hello");
    expect(again.visits).toBe(1);
  });

  test("one who gives up disturbs nobody; when all have, the box does not listen", async () => {
    await using server = await startEmbedded();
    await using bridge = await Bridge.make(server);
    await using host = await Side.listen(bridge.place("unix"), echo);
    const giveUp = new AbortController();
    const one = rejectionOf(bridge.book.hostToPlugin(host.address, giveUp.signal));
    const other = bridge.book.hostToPlugin(host.address);
    giveUp.abort();
    expect(await one).toMatchObject({ code: "aborted" });
    expect(await other).toMatchObject({ network: "unix" });
    expect(server.embedded.forwards).toBe(1);
    await using second = await Side.listen(bridge.place("unix"), echo);
    const gone = new AbortController();
    const both = [1, 2].map(() => rejectionOf(bridge.book.hostToPlugin(second.address, gone.signal)));
    gone.abort();
    expect((await Promise.all(both)).map(({ code }) => code)).toEqual(["aborted", "aborted"]);
    await eventually(() => server.embedded.forwards === 1, { what: "the second listener to go" });
  });
});

/** What sshd_config says, and the codes that follow: to reach the plugin and to listen for it, over TCP and unix. */
const FORBIDDEN: [option: string, restrictions: Restrictions | undefined, codes: Record<string, string>][] = [
  [
    "AllowTcpForwarding no",
    { allowTcpForwarding: false },
    {
      "plugin tcp": "forward-forbidden",
      "plugin unix": "forward-failed",
      "host tcp": "forward-forbidden",
      "host unix": "forward-forbidden",
    },
  ],
  [
    "AllowTcpForwarding local",
    { allowTcpForwarding: "local" },
    { "plugin tcp": "open", "plugin unix": "open", "host tcp": "forward-forbidden", "host unix": "forward-forbidden" },
  ],
  [
    "AllowStreamLocalForwarding no",
    { allowStreamLocalForwarding: false },
    { "plugin tcp": "open", "plugin unix": "forward-failed", "host tcp": "open", "host unix": "forward-forbidden" },
  ],
  [
    "DisableForwarding yes",
    undefined,
    {
      "plugin tcp": "forward-forbidden",
      "plugin unix": "forward-failed",
      "host tcp": "forward-forbidden",
      "host unix": "forward-forbidden",
    },
  ],
  [
    "PermitOpen 127.0.0.1:22",
    undefined,
    { "plugin tcp": "forward-forbidden", "plugin unix": "forward-failed", "host tcp": "open", "host unix": "open" },
  ],
  [
    "PermitListen 9",
    undefined,
    { "plugin tcp": "open", "plugin unix": "open", "host tcp": "forward-forbidden", "host unix": "open" },
  ],
];

describe.each(FORBIDDEN)("%s", (option, restrictions, codes) => {
  test.skipIf(!hasTier("openssh"))("over openssh", async () => {
    await using server = await startOpenSsh({ options: [option] });
    expect(await outcomes(server)).toEqual(codes);
  });

  test.skipIf(!restrictions)("over the embedded server", async () => {
    await using server = await startEmbedded(restrictions);
    expect(await outcomes(server)).toEqual(codes);
  });
});

/** Writes `total` random bytes and ends; tells how many have been taken. */
function writeAll(socket: Socket, total: number, onChunk: (chunk: Buffer) => void): { bytes: number } {
  const taken = { bytes: 0 };
  const chunk = randomBytes(64 * 1024);
  const writeMore = (left: number): void => {
    if (left === 0) return void socket.end();
    onChunk(chunk);
    socket.write(chunk, () => {
      taken.bytes += chunk.length;
      writeMore(left - chunk.length);
    });
  };
  writeMore(total);
  return taken;
}

/** How many bytes were taken when no more are: the number has not changed for a while. */
async function settled(taken: { bytes: number }): Promise<number> {
  let [last, same] = [-1, 0];
  return eventually(
    () => {
      same = taken.bytes === last ? same + 1 : 0;
      last = taken.bytes;
      return same >= 40 && last;
    },
    { what: "the writer to be held up", timeoutMs: 20_000, state: () => taken },
  );
}

/** Whether somebody still answers at an address. */
async function gets(address: Address): Promise<boolean> {
  const socket = await dial(address).catch(() => undefined);
  if (!socket) return false;
  const [first] = await Promise.race([once(socket, "data"), once(socket, "close"), once(socket, "end")]);
  socket.destroy();
  return Buffer.isBuffer(first);
}

/** How each kind of forward goes: `open`, or the code of the failure. The listeners are there. */
async function outcomes(server: Parameters<typeof Bridge.make>[0]): Promise<Record<string, string>> {
  await using bridge = await Bridge.make(server);
  const found: Record<string, string> = {};
  for (const network of ["tcp", "unix"] as const) {
    await using side = await Side.listen(bridge.place(network), echo);
    const reached = await bridge.connection.openStream(side.address).catch((failure) => failure.code);
    found[`plugin ${network}`] = typeof reached === "string" ? reached : "open";
    if (typeof reached !== "string") {
      reached.on("error", () => {}).resume();
      reached.end();
      await once(reached, "end");
    }
    found[`host ${network}`] = await bridge.book.hostToPlugin(side.address).then(
      () => "open",
      (failure) => failure.code,
    );
  }
  return found;
}
