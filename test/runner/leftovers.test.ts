import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import type { Runner } from "../../src/contract/runner.ts";
import type { PluginOptions } from "../../src/runner/plugin-options.ts";
import { type Bench, connectTo, embeddedKind, opensshKind } from "../contract/runner-kinds.ts";
import type { EmbeddedTestServer } from "../servers/embedded.ts";
import type { TestServer } from "../servers/server.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { isAlive } from "../tools/leaks.ts";
import { startProxy } from "../tools/proxy.ts";

/**
 * Short, so that a test sees the end of a lease, but not so short that a loaded machine lets one end by itself; the
 * defaults are a minute and five seconds.
 */
const BRIEF = { leaseMs: 10_000, heartbeatIntervalMs: 400, killGraceMs: 1_000 };
/** Lease, grace, and what a loaded machine adds. */
const SOON_MS = 40_000;

/** Into how many moments a start is divided. */
const PARTS = 6;

/** A plugin that ignores TERM, with children in its session and out of it that do so too: nothing is harder to end. */
const STUBBORN = ["has-children.sh", "stays"] as const;

describe.each([
  [embeddedKind.name, embeddedKind, true],
  [opensshKind().name, opensshKind(), hasTier("openssh")],
] as const)("%s", (_name, kind, available) => {
  describe.skipIf(!available)("leaves nothing on either side", () => {
    test.each(["exit", "SIGKILL"] as const)("after the host's end by %s", async (how) => {
      await using bench = await kind.open();
      const host = startHost(bench, how);
      const [line] = await once(host.stdout.setEncoding("utf8"), "data");
      const pid = Number(String(line).trim().split("#")[1]);
      const ended = once(host.child, "close");
      if (how === "SIGKILL") host.child.kill("SIGKILL");
      expect(await ended).toEqual(how === "exit" ? [7, null] : [null, "SIGKILL"]);
      await gone(pid);
      await empty(bench.boxTmp);
      // A host that was killed cannot tidy up on its own side; the next one does.
      if (how === "SIGKILL") await sweepBy(bench);
      expect(readdirSync(bench.hostTmp)).toEqual([]);
    });

    test("after a TCP reset, and every waiter is told", async () => {
      await using bench = await kind.open();
      await using proxy = await startProxy(need(bench.server));
      const runner = await started(bench, STUBBORN, connectTo(need(bench.server), proxy.port));
      const waiting = told(runner);
      proxy.reset();
      await waiting;
      await ended(bench, runner);
    });

    test("after a silent cut of the link: the lease ends the plugin, keepalives tell the host", async () => {
      await using bench = await kind.open();
      await using proxy = await startProxy(need(bench.server));
      const runner = await started(bench, STUBBORN, {
        ...connectTo(need(bench.server), proxy.port),
        serverAliveIntervalMs: 2_000,
        serverAliveCountMax: 4,
      });
      const waiting = told(runner);
      proxy.freeze();
      await gone(pidOf(runner));
      await empty(bench.boxTmp);
      await waiting;
      await ended(bench, runner);
      proxy.reset();
    });

    test("after the end of the session's own server process", async () => {
      await using bench = await kind.open();
      const runner = await started(bench, STUBBORN);
      const waiting = told(runner);
      need(bench.server).killSessions("SIGKILL");
      await waiting;
      await ended(bench, runner);
    });

    test("although a plugin was killed from outside on the box", async () => {
      await using bench = await kind.open();
      const runner = await started(bench, ["stays.sh"]);
      process.kill(pidOf(runner), "SIGKILL");
      expect(await runner.wait()).toEqual({ code: null, signal: "SIGKILL" });
      await ended(bench, runner);
    });

    test.each(["kill", "abort"] as const)("after a %s at any moment of the start", async (how) => {
      await using bench = await kind.open();
      const whole = await timeOfStart(bench);
      for (let part = 0; part <= PARTS; part++) {
        const runner = bench.runner({ ...BRIEF, command: bench.command(...STUBBORN) });
        const giveUp = new AbortController();
        const starting = runner.start(giveUp.signal).catch((failure) => failure);
        // Not a wait for something to be ready: the point is that the moment does not matter.
        await new Promise((resolve) => setTimeout(resolve, (whole * part) / PARTS));
        if (how === "kill") await runner.kill();
        else giveUp.abort();
        const failure = await starting;
        if (failure !== undefined) expect(["closed", "aborted"]).toContain(failure.code);
        await runner.kill();
        await expect(runner.wait().catch((reason) => reason.code ?? reason)).resolves.toBeDefined();
      }
      await empty(bench.boxTmp);
    });
  });
});

describe("the embedded server", () => {
  test("closes a plugin's channel: the plugin ends, the host is told", async () => {
    await using bench = await embeddedKind.open();
    const runner = await started(bench, STUBBORN);
    const waiting = told(runner);
    (bench.server as EmbeddedTestServer).embedded.closeChannels();
    await waiting;
    await ended(bench, runner);
  });

  test.each(["banner", "auth", "channel", "exec"] as const)(
    "does not answer from the %s on: a start that is aborted, or killed, leaves nothing",
    async (phase) => {
      await using bench = await embeddedKind.open();
      const { embedded } = bench.server as EmbeddedTestServer;
      embedded.hangAt = phase;
      const before = embedded.accepted;
      for (const how of ["abort", "kill"] as const) {
        const runner = bench.runner({ ...BRIEF, command: bench.command("stays.sh") });
        const giveUp = new AbortController();
        const starting = runner.start(giveUp.signal).catch((failure) => failure);
        const reached = how === "abort" ? 1 : 2;
        await eventually(() => embedded.accepted >= before + reached, { timeoutMs: SOON_MS, what: "the connection" });
        if (how === "abort") giveUp.abort();
        const killed = runner.kill().catch((failure) => failure);
        expect((await starting).code).toBe(how === "abort" ? "aborted" : "closed");
        await killed;
        for (const stream of [runner.stdout, runner.stderr]) {
          stream.resume();
          if (!stream.readableEnded) await once(stream, "end");
        }
      }
      await eventually(() => embedded.connections === 0, { timeoutMs: SOON_MS, what: "the connections to be closed" });
      embedded.hangAt = undefined;
    },
  );
});

async function started(bench: Bench, fixture: readonly [string, ...string[]], connect: object = {}): Promise<Runner> {
  const options = { ...BRIEF, command: bench.command(...fixture), ...connect } satisfies PluginOptions;
  const runner = bench.runner(options);
  runner.stderr.resume();
  await runner.start();
  await once(runner.stdout, "data");
  runner.stdout.resume();
  return runner;
}

/** Resolves when everybody who waits for this plugin has heard that the connection is lost. */
async function told(runner: Runner): Promise<void> {
  const streams = [runner.stdout, runner.stderr].map((stream) => once(stream, "end"));
  const address = { network: "unix", path: "/tmp/nobody-listens-here" } as const;
  await expect(runner.wait()).rejects.toMatchObject({ code: "connection-lost" });
  await Promise.all(streams);
  await expect(runner.pluginToHost(address)).rejects.toMatchObject({ code: "connection-lost" });
}

/** Nothing of a plugin is left on the box, and a kill says so, or that it cannot know. */
async function ended(bench: Bench, runner: Runner): Promise<void> {
  await gone(pidOf(runner));
  await empty(bench.boxTmp);
  const failure = await runner.kill().catch((reason) => reason);
  if (failure !== undefined) expect(failure).toMatchObject({ code: "connection-lost" });
}

function gone(pid: number): Promise<unknown> {
  return eventually(() => !isAlive(pid), { timeoutMs: SOON_MS, what: `process ${pid} to be gone` });
}

function empty(directory: string): Promise<unknown> {
  const left = () => readdirSync(directory);
  return eventually(() => left().length === 0, { timeoutMs: SOON_MS, what: `${directory} to be empty`, state: left });
}

function pidOf(runner: Runner): number {
  return Number(runner.id.split("#")[1]);
}

function need(server: TestServer | undefined): TestServer {
  if (!server) throw new TypeError("This bench has no server.");
  return server;
}

function startHost(bench: Bench, how: string): { child: ChildProcess; stdout: NonNullable<ChildProcess["stdout"]> } {
  const script = fileURLToPath(new URL("../fixtures/host-that-ends.mjs", import.meta.url));
  const library = pathToFileURL(join(built(), "index.js")).href;
  const child = spawn(process.execPath, [script, how, library], { stdio: ["pipe", "pipe", "inherit"] });
  const options = {
    ...connectTo(need(bench.server)),
    ...BRIEF,
    command: bench.command(...STUBBORN),
    directoryBase: bench.boxTmp,
  };
  child.stdin.end(JSON.stringify(options));
  return { child, stdout: child.stdout };
}

/** Another host comes along, and needs an address on its side. */
async function sweepBy(bench: Bench): Promise<void> {
  const runner = await started(bench, ["stays.sh"]);
  await runner.pluginToHost({ network: "unix", path: "/tmp/nobody-listens-here" });
  await runner.kill();
}

async function timeOfStart(bench: Bench): Promise<number> {
  const began = performance.now();
  const runner = bench.runner({ ...BRIEF, command: bench.command("stays.sh") });
  await runner.start();
  const took = performance.now() - began;
  await runner.kill();
  return took;
}
