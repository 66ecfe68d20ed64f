import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, expect, test } from "vitest";
import { type Address, formatAddress } from "../../src/contract/address.ts";
import type { Runner } from "../../src/contract/runner.ts";
import { digest, digestOf } from "../servers/client.ts";
import { isAlive } from "../tools/leaks.ts";
import type { Bench, Network, RunnerKind } from "./runner-kinds.ts";
import { failureOf, Said } from "./said.ts";

const QUESTION = randomBytes(3_000_000);
const ANSWER = randomBytes(3_000_000);

/** How a runner translates addresses. */
export function addressContract(kind: RunnerKind): void {
  const { pluginToHost, hostToPlugin } = kind.networks;
  /** A network that the plugin can be reached on, and one that the host can. */
  const [into, out] = [pluginToHost[0], hostToPlugin[0]];

  describe.each(pluginToHost)("pluginToHost, for a plugin on %s", (network) => {
    test("carries data both ways, and the host may end first", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const socket = await dial(await plugin.runner.pluginToHost(plugin.at[network]));
      socket.write("echo\n");
      socket.end(QUESTION);
      expect(await digestOf(socket)).toEqual(digest(QUESTION));
    });

    test("carries data both ways, and the plugin may end first", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const socket = await dial(await plugin.runner.pluginToHost(plugin.at[network]));
      socket.write("greet\n");
      expect(await digestOf(socket)).toEqual(digest(Buffer.from("hello")));
      socket.end(QUESTION);
      await plugin.stderr.until(new RegExp(`^${QUESTION.length} bytes after the greeting`, "m"));
    });

    test("gives the same address each time, for any number of connections", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const translate = () => plugin.runner.pluginToHost(plugin.at[network]);
      const addresses = [...(await Promise.all([translate(), translate()])), await translate()];
      expect(new Set(addresses.map((address) => JSON.stringify(address))).size).toBe(1);
      const sockets = await Promise.all(addresses.map(dial));
      for (const [index, socket] of sockets.entries()) socket.end(`echo\nnumber ${index}`);
      const answers = await Promise.all(sockets.map((socket) => new Said(socket).all));
      expect(answers).toEqual(["number 0", "number 1", "number 2"]);
    });

    test("can do without a listener", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const stream = await plugin.runner.openStream?.(plugin.at[network]);
      stream?.write("echo\n");
      stream?.end(QUESTION);
      expect(await digestOf(stream as Duplex)).toEqual(digest(QUESTION));
    });
  });

  describe.each(hostToPlugin)("hostToPlugin, for a host on %s", (network) => {
    test("carries data both ways, and either may end first", async () => {
      await using bench = await kind.open();
      await using host = await listening(bench, network);
      await using plugin = await started(bench);
      const address = await plugin.runner.hostToPlugin(host.address);
      for (const first of ["plugin", "host"] as const) {
        const [near, far] = await Promise.all([dialFromPlugin(plugin, into, address), host.next()]);
        const ends = first === "plugin" ? ([near, far] as const) : ([far, near] as const);
        ends[0].end(QUESTION);
        expect(await digestOf(ends[1])).toEqual(digest(QUESTION));
        const answered = digestOf(ends[0]);
        ends[1].end(ANSWER);
        expect(await answered).toEqual(digest(ANSWER));
      }
    });

    test("gives the same address each time", async () => {
      await using bench = await kind.open();
      await using host = await listening(bench, network);
      await using plugin = await started(bench);
      const translate = () => plugin.runner.hostToPlugin(host.address);
      const addresses = [...(await Promise.all([translate(), translate()])), await translate()];
      expect(new Set(addresses.map((address) => JSON.stringify(address))).size).toBe(1);
    });
  });

  describe("addresses", () => {
    test("are those of the same side only where both sides are one", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const host = await plugin.runner.pluginToHost(plugin.at[into]);
      expect(JSON.stringify(host) === JSON.stringify(plugin.at[into])).toBe(kind.isLocal);
      if (!kind.isLocal) expect(host).toMatchObject({ path: expect.stringContaining(`${bench.hostTmp}/gps-`) });
    });

    test("are not translated before the start", async () => {
      await using bench = await kind.open();
      await using runner = bench.runner({ command: bench.command("stays.sh") });
      const to = { network: "unix", path: "/tmp/gpt-none" } as const;
      expect((await failureOf(runner.pluginToHost(to))).code).toBe("closed");
      expect((await failureOf(runner.hostToPlugin(to))).code).toBe("closed");
      expect((await failureOf(Promise.resolve(runner.openStream?.(to)))).code).toBe("closed");
    });

    test("are not translated after a kill, and those that were are gone", async () => {
      await using bench = await kind.open();
      await using host = await listening(bench, out);
      const plugin = await started(bench);
      const { runner, at } = plugin;
      const address = await runner.pluginToHost(at[into]);
      const open = await dial(address);
      open.on("error", () => {});
      await runner.hostToPlugin(host.address);
      await runner.kill();
      for (const promise of [runner.pluginToHost(at[into]), runner.hostToPlugin(host.address)]) {
        expect((await failureOf(promise)).code).toBe("closed");
      }
      expect((await failureOf(Promise.resolve(runner.openStream?.(at[into])))).code).toBe("closed");
      await expect(dial(address)).rejects.toThrow(/ENOENT|ECONNREFUSED/);
      await closed(open.end());
    });

    test("are not translated after the plugin's end", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      process.kill(Number(plugin.runner.id.split("#")[1]), "SIGKILL");
      await plugin.runner.wait();
      expect((await failureOf(plugin.runner.pluginToHost(plugin.at[into]))).code).toBe("plugin-exited");
    });

    test("may lead to nothing, which is told and does no harm", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const nowhere: Address =
        into === "unix"
          ? { network: into, path: `${bench.boxTmp}/nothing` }
          : { network: into, host: "127.0.0.1", port: await unusedPort() };
      const failure = await failureOf(Promise.resolve(plugin.runner.openStream?.(nowhere)));
      expect(failure.code).toBe("forward-failed");
      expect(failure.message).toContain(formatAddress(nowhere));
      const socket = connect({ path: (await unixPath(plugin.runner, nowhere)) ?? "" }).on("error", () => {});
      await closed(socket);
      expect(isAlive(Number(plugin.runner.id.split("#")[1]))).toBe(true);
    });

    test("take a signal", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const gone = AbortSignal.abort();
      if (kind.isLocal) return;
      expect((await failureOf(plugin.runner.pluginToHost(plugin.at[into], gone))).code).toBe("aborted");
      expect((await failureOf(plugin.runner.hostToPlugin(plugin.at.tcp, gone))).code).toBe("aborted");
    });

    test.skipIf(pluginToHost.includes("unix"))("on a unix socket are said to be out of reach", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench);
      const failure = await failureOf(Promise.resolve(plugin.runner.openStream?.(plugin.at.unix)));
      expect(failure.code).toBe("unsupported");
      expect(failure.message).toContain("unix sockets");
      expect(failure.hint).toContain("TCP");
      expect(isAlive(Number(plugin.runner.id.split("#")[1]))).toBe(true);
    });

    test.skipIf(hostToPlugin.includes("unix"))("of the host's unix sockets are said to be out of reach", async () => {
      await using bench = await kind.open();
      await using host = await listening(bench, "unix");
      await using plugin = await started(bench);
      const failure = await failureOf(plugin.runner.hostToPlugin(host.address));
      expect(failure.code).toBe("forward-forbidden");
      expect(failure.hint).toContain("TCP");
    });

    test.skipIf(kind.isLocal)("are TCP ports here where that is asked for", async () => {
      await using bench = await kind.open();
      await using plugin = await started(bench, { hostNetwork: "tcp" });
      const address = await plugin.runner.pluginToHost(plugin.at[into]);
      expect(address).toMatchObject({ network: "tcp", host: "127.0.0.1" });
      const socket = await dial(address);
      socket.end("echo\nhere");
      expect(await new Said(socket).all).toBe("here");
    });

    test.skipIf(kind.isLocal)("of other machines are refused, unless allowed", async () => {
      await using bench = await kind.open();
      const seen: Address[] = [];
      await using plugin = await started(bench, {
        allowAddress: (address: Address) => {
          seen.push(address);
          return address.network === "tcp" && address.host === "192.0.2.1";
        },
      });
      const other = (host: string) => ({ network: "tcp", host, port: 80 }) as const;
      expect((await failureOf(plugin.runner.pluginToHost(other("192.0.2.2")))).code).toBe("handshake-failed");
      await plugin.runner.pluginToHost(other("192.0.2.1"));
      expect(seen).toEqual([other("192.0.2.2"), other("192.0.2.1")]);
    });
  });
}

interface Plugin extends AsyncDisposable {
  readonly runner: Runner;
  readonly at: Record<Network, Address>;
  readonly stderr: Said;
}

/** A plugin that serves, with its addresses. */
async function started(bench: Bench, options = {}): Promise<Plugin> {
  const runner = bench.runner({ command: bench.command("serves.mjs"), ...options });
  await runner.start();
  const stderr = new Said(runner.stderr);
  const { path, port } = JSON.parse((await new Said(runner.stdout).until(/.*\n/))[0]);
  return {
    runner,
    stderr,
    at: { unix: { network: "unix", path }, tcp: { network: "tcp", host: "127.0.0.1", port } },
    [Symbol.asyncDispose]: () => runner.kill(),
  };
}

/** Has the plugin connect to an address of its side; what goes over the stream goes over that connection. */
async function dialFromPlugin({ runner, at }: Plugin, into: Network, to: Address): Promise<Duplex> {
  const stream = await runner.openStream?.(at[into]);
  stream?.write(`dial ${to.network} ${to.network === "unix" ? to.path : `${to.host}:${to.port}`}\n`);
  return stream as Duplex;
}

/** A listener of the host's. */
async function listening(bench: Bench, network: Network) {
  const waiting: ((socket: Socket) => void)[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {});
    waiting.shift()?.(socket);
  });
  const path = join(bench.directory, "host");
  await new Promise<void>((resolve) => {
    if (network === "unix") server.listen({ path }, resolve);
    else server.listen({ host: "127.0.0.1", port: 0 }, resolve);
  });
  const address: Address =
    network === "unix"
      ? { network, path }
      : { network, host: "127.0.0.1", port: (server.address() as AddressInfo).port };
  return {
    address,
    next: () => new Promise<Socket>((resolve) => waiting.push(resolve)),
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

async function dial(address: Address): Promise<Socket> {
  const socket = connect({
    ...(address.network === "unix" ? { path: address.path } : { host: address.host, port: address.port }),
    allowHalfOpen: true,
  });
  await once(socket, "connect");
  return socket;
}

async function closed(socket: Socket): Promise<void> {
  socket.resume();
  if (!socket.closed) await new Promise<void>((resolve) => socket.once("close", () => resolve()));
}

/** A port that nobody listens on. */
async function unusedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen({ host: "127.0.0.1", port: 0 }, resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

async function unixPath(runner: Runner, address: Address): Promise<string | undefined> {
  const host = await runner.pluginToHost(address);
  return host.network === "unix" ? host.path : undefined;
}
