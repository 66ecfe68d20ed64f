import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { type Duplex, PassThrough } from "node:stream";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import type { Connection, ExecChannel } from "../../src/contract/connection.ts";
import { openRelay } from "../../src/exec/open-relay.ts";
import { listenByRelay } from "../../src/exec/relay-listener.ts";
import { canListen, findRelayTool, RELAY_TOOLS, type RelayTool } from "../../src/exec/relay-tool.ts";
import type { Exec } from "../../src/exec/run-program.ts";
import { rejectionOf } from "../connect/failure-of.ts";
import { loginWithKey } from "../connect/login.ts";
import { digest, digestOf } from "../servers/client.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { eventually, processesWith, signalFound } from "../tools/leaks.ts";
import { dial, echo, received, Side } from "../translate/side.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

const MIB = 1024 * 1024;
const home = temporaryDirectory();

const SERVERS: readonly [name: string, available: boolean, start: () => Promise<TestServer>][] = [
  ["the embedded server", true, () => startEmbedded({ maxSessions: 100 })],
  ["sshd", hasTier("openssh"), () => startOpenSsh({ options: ["MaxSessions 100"] })],
];

describe.each(SERVERS)("over %s", (_name, available, start) => {
  let server: TestServer;
  let connection: Connection;
  let exec: Exec;
  beforeAll(async () => {
    if (!available) return;
    server = await start();
    connection = await loginWithKey(server);
    exec = (command, signal) => connection.exec(command, signal);
  });
  afterAll(async () => {
    await connection?.close();
    // Here it shows if anything was left on the box.
    await server?.stop();
  });
  const open = (tool: RelayTool, to: Address) => openRelay(exec, tool, to, { lost: connection.lost });

  describe.each(RELAY_TOOLS)("a relay by %s", (tool) => {
    const test_ = test.skipIf(!available || !has(tool) || tool === "nc");

    test_.each([
      [64, "unix"],
      [4, "tcp"],
    ] as const)("carries %i MiB each way, to a plugin on %s", async (size, network) => {
      await using plugin = await Side.listen(place(network), echo);
      const data = randomBytes(size * MIB);
      const stream = await open(tool, plugin.address);
      const answer = digestOf(stream);
      stream.end(data);
      expect(await answer).toEqual(digest(data));
      await gone(plugin.address);
    });

    test_("hears the plugin after the host has ended, and the host after the plugin has", async () => {
      const heard: Promise<Buffer>[] = [];
      await using plugin = await Side.listen(place("unix"), (socket) => heard.push(answerFirst(socket)));
      const stream = await open(tool, plugin.address);
      expect(String(await received(stream))).toBe("greeting");
      const data = randomBytes(3 * MIB);
      stream.end(data);
      expect(Buffer.compare((await heard[0]) as Buffer, data)).toBe(0);
      await gone(plugin.address);
    });

    // Which server may be met is not the tool's to choose, so socat and ncat must do with one that says of the end.
    const odd = canListen(tool) ? ["withholds the end of stdout", "takes both outputs for one"] : [];
    test_.each(odd)("hears the plugin first over a server that %s", async (what) => {
      const heard: Promise<Buffer>[] = [];
      await using plugin = await Side.listen(place("unix"), (socket) => heard.push(answerFirst(socket)));
      const through: Exec = what.startsWith("withholds")
        ? async (command, signal) => withheld(await exec(command, signal))
        : (command, signal) => exec(`${command} 2>&1`, signal);
      const stream = await openRelay(through, tool, plugin.address, { lost: connection.lost });
      expect(String(await received(stream))).toBe("greeting");
      stream.end("goodbye");
      expect(String(await heard[0])).toBe("goodbye");
      await gone(plugin.address);
    });

    test_("slows a sender whose reader is slow", async () => {
      await using plugin = await Side.listen(place("unix"), (socket) => socket.pause());
      const stream = await open(tool, plugin.address);
      await eventually(() => plugin.sockets.size === 1, { what: "the relay to arrive" });
      const data = randomBytes(32 * MIB);
      stream.end(data);
      const [socket] = [...plugin.sockets] as [Socket];
      // What is under way fits into windows and pipes; the rest waits with us, however long nobody reads.
      const before = stream.writableLength;
      expect(before).toBeGreaterThan(16 * MIB);
      const all = digestOf(socket);
      socket.resume();
      expect(await all).toEqual(digest(data));
      socket.end();
      stream.resume();
      await gone(plugin.address);
    });

    test_("ends with its stream, and ends its stream when it is killed", async () => {
      await using plugin = await Side.listen(place("unix"));
      const given = await open(tool, plugin.address);
      await eventually(() => plugin.sockets.size === 1, { what: "the relay to arrive" });
      given.on("error", () => {}).destroy();
      await eventually(() => plugin.sockets.size === 0 || endAll(plugin), { what: "the plugin to be left" });
      await gone(plugin.address);
      const killed = await open(tool, plugin.address);
      await eventually(() => relays(plugin.address).length > 0 && plugin.sockets.size > 0, { what: "a relay" });
      const closed = new Promise((resolve) => killed.on("error", resolve).resume());
      for (const { pid } of relays(plugin.address)) signalFound(pid);
      expect(await closed).toMatchObject({ code: "forward-failed" });
      await gone(plugin.address);
    });

    test_("finds a socket whatever its name, and says if there is none", async () => {
      const odd: Address = {
        network: "unix",
        path: join(home, `it's, a:"b" \\c!!d $x-${randomBytes(3).toString("hex")}`),
      };
      await using plugin = await Side.listen(odd, echo);
      const stream = await open(tool, plugin.address);
      stream.end("hello");
      expect(String(await received(stream))).toBe("hello");
      const failure = await rejectionOf(open(tool, { network: "unix", path: join(home, "none") }));
      expect(failure).toMatchObject({ code: "forward-failed" });
      expect(failure.message).toContain(join(home, "none"));
    });
  });

  describe.each(RELAY_TOOLS.filter(canListen))("a listener by %s", (tool) => {
    const test_ = test.skipIf(!available || !has(tool));
    const listen = async (at: Address, onStream: (stream: Duplex) => void, connect?: () => Promise<Duplex>) => {
      const failures: unknown[] = [];
      const meeting = join(home, `m${randomBytes(3).toString("hex")}`);
      const options = {
        tool,
        at,
        meeting,
        connect: connect ?? ((to: Address) => open(tool, to)),
        onStream,
        onFailure: (failure: unknown) => failures.push(failure),
      };
      return { failures, meeting, listener: await listenByRelay(exec, options, { lost: connection.lost }) };
    };

    test_.each(["unix", "tcp"] as const)("carries 20 connections at once, arriving on %s", async (network) => {
      const { listener, meeting } = await listen(place(network), (stream) => stream.pipe(stream));
      if (network === "unix") expect(statSync(pathOf(listener.address)).mode & 0o777).toBe(0o600);
      expect(statSync(meeting).mode & 0o777).toBe(0o600);
      const all = Array.from({ length: 20 }, async (_, n) => {
        const data = randomBytes(100_000 + n);
        const socket = await dial(listener.address);
        const answer = digestOf(socket);
        socket.end(data);
        expect(await answer).toEqual(digest(data));
      });
      await Promise.all(all);
      await listener.close();
      await gone({ network: "unix", path: meeting });
      expect(existsSync(meeting)).toBe(false);
    });

    test_("sends those away whom nobody can meet, and lets those go on who were met", async () => {
      let full = false;
      const streams: Duplex[] = [];
      const { listener, failures, meeting } = await listen(
        place("unix"),
        (stream) => streams.push(stream),
        () => (full ? Promise.reject(new RangeError("full")) : open(tool, { network: "unix", path: meeting })),
      );
      const met = await dial(listener.address);
      await eventually(() => streams.length === 1, { what: "the first to be met" });
      full = true;
      const other = await dial(listener.address);
      await once(other.resume(), "end");
      other.end();
      expect(failures).toEqual([new RangeError("full")]);
      await listener.close();
      // A box that is slow is not waited for.
      await eventually(() => !existsSync(pathOf(listener.address)), { what: "the listener to tidy up" });
      await expect(dial(listener.address)).rejects.toThrow(/ENOENT/);
      const answer = received(met);
      streams[0]?.end("still here");
      expect(String(await answer)).toBe("still here");
      met.end();
      streams[0]?.resume();
      await gone({ network: "unix", path: meeting });
    });

    test_("says that it cannot listen", async () => {
      const nowhere = join(home, "no", "such");
      const failure = await rejectionOf(listen({ network: "unix", path: nowhere }, () => {}));
      expect(failure).toMatchObject({ code: "forward-failed" });
      expect(failure.message).toContain(nowhere);
    });

    test_("ends when its directory is removed under it", async () => {
      const { listener, meeting } = await listen(place("unix"), () => {});
      const { rmSync } = await import("node:fs");
      rmSync(meeting);
      await gone({ network: "unix", path: meeting });
      await listener.close();
    });
  });

  test.skipIf(!available)("the first tool that works is found, and none where there is none", async () => {
    // The nc of OpenBSD is none, because the host would not hear that the plugin has ended first.
    const { stdout, stderr } = spawnSync("nc", ["--version"], { encoding: "utf8" });
    const [nc] = /Ncat/.test(`${stdout}${stderr}`) ? ["nc"] : [];
    const interpreter = has("python3") ? "python3" : "perl";
    expect(await findRelayTool(exec, undefined, ["nc", "python3", "perl"])).toBe(nc ?? interpreter);
    expect(await findRelayTool(exec, undefined, [])).toBeUndefined();
  });
});

/** A channel of a server that says that stdout has ended only when the command has. */
function withheld(channel: ExecChannel): ExecChannel {
  const { stdin, stderr, exited, closed } = channel;
  const stdout = channel.stdout.pipe(new PassThrough(), { end: false });
  void Promise.all([exited, once(channel.stdout, "end")]).then(() => stdout.end());
  return {
    stdin,
    stdout,
    stderr,
    exited,
    closed,
    signal: (name) => channel.signal(name),
    close: () => channel.close(),
  };
}

/** A plugin that greets and ends, and then hears all. */
function answerFirst(socket: Socket): Promise<Buffer> {
  const heard = received(socket);
  socket.end("greeting");
  return heard;
}

function endAll(plugin: Side): boolean {
  // A relay that was not killed has passed on the end, which a plugin answers.
  for (const socket of plugin.sockets) if (socket.resume().readableEnded) socket.end();
  return false;
}

let places = 0;

function place(network: "unix" | "tcp"): Address {
  places += 1;
  return network === "tcp" ? { network, host: "127.0.0.1", port: 0 } : { network, path: join(home, `s${places}`) };
}

function pathOf(address: Address): string {
  return address.network === "unix" ? address.path : "";
}

/** The processes on the box that serve an address. */
function relays(address: Address) {
  return processesWith(address.network === "unix" ? address.path : `\0${address.port}\0`);
}

async function gone(address: Address): Promise<void> {
  if (address.network === "tcp") return;
  await eventually(() => relays(address).length === 0, {
    what: "the relay to end",
    state: () => [...relays(address), ...readdirSync(home)],
  });
}
