import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Address } from "../../src/contract/address.ts";
import type { Runner } from "../../src/contract/runner.ts";
import type { EmbeddedServerOptions } from "../../src/demo/embedded-server.ts";
import { type ForwardOptions, SshRunner } from "../../src/runner/ssh-runner.ts";
import { loginWithKey } from "../connect/login.ts";
import { type Bench, embeddedKindWith, opensshKind } from "../contract/runner-kinds.ts";
import { failureOf, Said } from "../contract/said.ts";
import { where } from "../exec/shells.ts";
import { digest, digestOf } from "../servers/client.ts";
import type { TestServer } from "../servers/server.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/leaks.ts";

/** What sshd is told to refuse, and where the plugin reaches its host all the same. */
const REFUSALS: readonly [line: string, callback: "unix" | "tcp", hint: string][] = [
  ["AllowStreamLocalForwarding no", "tcp", "AllowStreamLocalForwarding"],
  ["AllowTcpForwarding no", "unix", "AllowTcpForwarding"],
  ["DisableForwarding yes", "unix", "DisableForwarding"],
  ["PermitOpen none", "unix", "PermitOpen"],
];

describe.skipIf(!hasTier("openssh")).each(REFUSALS)("sshd with %s", (line, callback, option) => {
  const kind = opensshKind(undefined, [line]);

  test("is got around, both ways, and diagnose() says so", async () => {
    await using bench = await kind.open();
    await using plugin = await started(bench);
    await using host = await hostSide(bench);
    for (const at of [plugin.unix, plugin.tcp]) expect(await echoed(plugin.runner, at)).toBe(true);
    const address = await plugin.runner.hostToPlugin(host.address);
    expect(address.network).toBe(callback);
    expect(await calledBack(plugin, address)).toBe("from the host: hello");
    expect(await plugin.runner.diagnose()).toMatch(
      /The server does not connect to unix addresses: a relay on the box \(perl/,
    );
  });

  test("is taken at its word with `never`", async () => {
    await using bench = await kind.open();
    await using plugin = await started(bench, { relay: "never" });
    const failure = await failureOf(open(plugin.runner, plugin.unix));
    expect(failure).toMatchObject({ code: "forward-forbidden" });
    expect(failure.hint).toContain(option);
    expect(failure.hint).toContain("`relay:");
  });
});

describe("a server that forwards nothing", () => {
  const rcNoise = { stdout: "Welcome to the box!\n", stderr: "tput: No value for $TERM\n" };
  const forwardsNothing = { allowTcpForwarding: false, maxSessions: 40, rcNoise } as const;

  test("costs the first connection two looks at the box, and the others nothing", async () => {
    await using bench = await embedded(forwardsNothing).open();
    await using plugin = await started(bench);
    const before = await execs(bench);
    await echoed(plugin.runner, plugin.unix);
    expect(await execs(bench)).toBe(before + 3);
    for (let n = 1; n <= 3; n += 1) {
      await echoed(plugin.runner, plugin.unix);
      expect(await execs(bench)).toBe(before + 3 + n);
    }
  });

  test("is known to every plugin on the same connection", async () => {
    await using bench = await embedded(forwardsNothing).open();
    await using connection = await loginWithKey(bench.server as TestServer);
    const runner = () =>
      new SshRunner({ connection, command: bench.command("serves.mjs"), directoryBase: bench.boxTmp });
    await using first = await served(runner());
    expect(await echoed(first.runner, first.unix)).toBe(true);
    await using second = await served(runner());
    const before = await execs(bench);
    expect(await echoed(second.runner, second.unix)).toBe(true);
    expect(await execs(bench)).toBe(before + 1);
  });

  test("carries 20 connections at once, and a kill ends those that are open", async () => {
    await using bench = await embedded(forwardsNothing).open();
    await using plugin = await started(bench);
    const all = await Promise.all(Array.from({ length: 20 }, () => echoed(plugin.runner, plugin.unix)));
    expect(all).toEqual(Array(20).fill(true));
    const address = await plugin.runner.pluginToHost(plugin.unix);
    const sockets = await Promise.all([1, 2, 3].map(() => dialled(address)));
    const closed = sockets.map((socket) => new Promise((resolve) => socket.on("close", resolve)));
    await plugin.runner.kill();
    await Promise.all(closed);
  });

  test("does not keep a missing socket from being told, nor is it mistaken for one that forbids", async () => {
    await using bench = await embedded({}).open();
    await using plugin = await started(bench);
    const failure = await failureOf(open(plugin.runner, { network: "unix", path: `${bench.boxTmp}/none` }));
    expect(failure).toMatchObject({ code: "forward-failed" });
    const before = await execs(bench);
    expect(await echoed(plugin.runner, plugin.unix)).toBe(true);
    expect(await execs(bench)).toBe(before);
    expect(await plugin.runner.diagnose()).not.toContain("relay");
  });

  test("breaks what is open when the link is cut, and the box is left clean", async () => {
    await using bench = await embedded(forwardsNothing).open();
    await using plugin = await started(bench);
    await using host = await hostSide(bench);
    await plugin.runner.hostToPlugin(host.address);
    const stream = await open(plugin.runner, plugin.unix);
    stream.write("echo\nhalf of it");
    const failure = new Promise((resolve) => stream.on("error", resolve).resume());
    bench.server?.killSessions("SIGKILL");
    expect(await failure).toMatchObject({ code: "connection-lost" });
  });
});

describe("sessions", () => {
  test("that are used up are told by name", async () => {
    await using bench = await embedded({ allowTcpForwarding: false, maxSessions: 3 }).open();
    await using plugin = await started(bench);
    const streams = [await open(plugin.runner, plugin.unix), await open(plugin.runner, plugin.unix)];
    const failure = await failureOf(open(plugin.runner, plugin.unix));
    expect(failure).toMatchObject({ code: "forward-failed" });
    expect(failure.hint).toContain("MaxSessions");
    for (const stream of streams) stream.end("echo\n").resume();
    await eventually(async () => echoed(plugin.runner, plugin.unix), {
      what: "a session to be free",
      timeoutMs: 20_000,
    });
  });

  test("may be used up from the start", async () => {
    await using bench = await embedded({ allowTcpForwarding: false, maxSessions: 1 }).open();
    await using plugin = await started(bench);
    await using host = await hostSide(bench);
    const asks = [() => open(plugin.runner, plugin.unix), () => plugin.runner.hostToPlugin(host.address)];
    for (const ask of asks) {
      const failure = await failureOf(ask());
      expect(failure).toMatchObject({ code: "forward-failed" });
      expect(failure.hint).toContain("MaxSessions");
    }
  });
});

test("a server that knows no unix sockets is got around; the plugin reaches its host on a port", async () => {
  await using bench = await embedded({ knowsStreamLocal: false }).open();
  await using plugin = await started(bench);
  await using host = await hostSide(bench);
  expect(await echoed(plugin.runner, plugin.unix)).toBe(true);
  const before = await execs(bench);
  expect(await echoed(plugin.runner, plugin.tcp)).toBe(true);
  expect(await execs(bench)).toBe(before);
  const address = await plugin.runner.hostToPlugin(host.address);
  expect(address).toMatchObject({ network: "tcp", host: "127.0.0.1" });
  expect(await calledBack(plugin, address)).toBe("from the host: hello");
  expect(await plugin.runner.diagnose()).toContain("does not listen on unix addresses: a TCP port");
});

test("with `always` the server is not asked", async () => {
  await using bench = await embedded({ maxSessions: 20 }, { relay: "always" }).open();
  await using plugin = await started(bench);
  await using host = await hostSide(bench);
  expect(await echoed(plugin.runner, plugin.tcp)).toBe(true);
  const address = await plugin.runner.hostToPlugin(host.address);
  expect(await calledBack(plugin, address)).toBe("from the host: hello");
  expect((await bench.server?.log()) ?? "").not.toMatch(/ to 127\.0\.0\.1:| from \//);
});

describe("a box that has", () => {
  const TOOLS = ["python3", "perl", "socat", "ncat"] as const;

  describe.each(TOOLS)("only %s", (tool) => {
    test.skipIf(!has(tool))("is served by that", async () => {
      await using bench = await embedded({ allowTcpForwarding: false, loginShell: shellWithOnly(tool) }).open();
      await using plugin = await started(bench);
      await using host = await hostSide(bench);
      expect(await echoed(plugin.runner, plugin.unix)).toBe(true);
      expect(await plugin.runner.diagnose()).toContain(`(${tool})`);
      if (tool === "python3" || tool === "perl") {
        expect(await calledBack(plugin, await plugin.runner.hostToPlugin(host.address))).toBe("from the host: hello");
      } else {
        const failure = await failureOf(plugin.runner.hostToPlugin(host.address));
        expect(failure).toMatchObject({ code: "forward-forbidden" });
        expect(failure.hint).toMatch(/AllowTcpForwarding.*install perl or python3/s);
      }
    });
  });

  test("nothing gets the sshd options and a list of what to install", async () => {
    await using bench = await embedded({ allowTcpForwarding: false, loginShell: shellWithOnly() }).open();
    await using plugin = await started(bench);
    await using host = await hostSide(bench);
    for (const ask of [() => open(plugin.runner, plugin.unix), () => plugin.runner.hostToPlugin(host.address)]) {
      const failure = await failureOf(ask());
      expect(failure).toMatchObject({ code: "forward-forbidden" });
      expect(failure.hint).toMatch(/AllowStreamLocalForwarding.*Install perl, python3, socat or ncat/s);
    }
  });
});

function embedded(settings: EmbeddedServerOptions, options: Partial<ForwardOptions> = {}) {
  return embeddedKindWith("", settings, options);
}

/** A login shell whose PATH holds what the supervisor needs, and of what could relay only `tools`. */
function shellWithOnly(...tools: string[]): string {
  const directory = mkdtempSync(join(tmpdir(), "only"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const needed = "sh uname tr setsid mkdir rm sleep grep sed cat head od id ls df tail ps awk".split(" ");
  for (const name of needed) if (has(name)) symlinkSync(where(name), join(directory, name));
  const put = (name: string, path: string | undefined, command: string) => {
    writeFileSync(join(directory, name), `#!/bin/sh\nPATH='${path}' exec ${command} "$@"\n`);
    chmodSync(join(directory, name), 0o755);
  };
  // What is in the PATH may itself need one, for example where it chooses between versions.
  for (const tool of tools) put(tool, process.env.PATH, tool);
  put("login", directory, "/bin/sh");
  return join(directory, "login");
}

/** How many commands the server has started. */
async function execs(bench: Bench): Promise<number> {
  return ((await bench.server?.log()) ?? "").match(/^started exec/gm)?.length ?? 0;
}

/** A plugin that serves, with its addresses. */
function started(bench: Bench, options: Partial<ForwardOptions> = {}) {
  return served(bench.runner({ command: bench.command("serves.mjs"), ...options }));
}

/** The same of a runner that was not started yet. */
async function served(runner: Runner) {
  await runner.start();
  runner.stderr.resume();
  const { path, port } = JSON.parse((await new Said(runner.stdout).until(/.*\n/))[0]);
  const unix: Address = { network: "unix", path };
  const tcp: Address = { network: "tcp", host: "127.0.0.1", port };
  return { runner, unix, tcp, [Symbol.asyncDispose]: () => runner[Symbol.asyncDispose]() };
}

async function open(runner: Runner, at: Address): Promise<Duplex> {
  const stream = await runner.openStream?.(at);
  if (!stream) throw new TypeError("It has no streams.");
  return stream;
}

/** Whether what is sent to the plugin comes back unchanged. */
async function echoed(runner: Runner, at: Address): Promise<boolean> {
  const data = randomBytes(200_000);
  const stream = await open(runner, at);
  const answer = digestOf(stream);
  stream.write("echo\n");
  stream.end(data);
  return (await answer).sha256 === digest(data).sha256;
}

/** A host that answers each who calls. */
async function hostSide(bench: Bench) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    socket
      .on("error", () => {})
      .on("data", (chunk) => {
        text += chunk;
      });
    socket.on("end", () => socket.end(`from the host: ${text}`));
  });
  const address: Address = { network: "unix", path: join(bench.directory, "host") };
  await new Promise<void>((resolve) => server.listen(address, resolve));
  return { address, [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())) };
}

/** What the host answers when the plugin says hello at an address of the box. */
async function calledBack({ runner, tcp }: { runner: Runner; tcp: Address }, to: Address): Promise<string> {
  const stream = await open(runner, tcp);
  const said = new Said(stream);
  const at = to.network === "unix" ? to.path : `${to.host}:${to.port}`;
  stream.end(`dial ${to.network} ${at}\nhello`);
  return said.all;
}

async function dialled(to: Address): Promise<Socket> {
  const socket = connect(to.network === "unix" ? { path: to.path } : { host: to.host, port: to.port });
  await new Promise((resolve) => socket.on("error", () => {}).once("connect", resolve));
  socket.write("echo\nwho");
  return socket.resume();
}
