import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { RunnerSpec } from "../../src/client/client-options.ts";
import type { Logger } from "../../src/client/log/logger.ts";
import type { GrpcPluginContext } from "../../src/client/plugin-set.ts";
import { attachProcess } from "../../src/client/reattach/attach-process.ts";
import { parseReattachConfig, type ReattachConfig } from "../../src/contract/reattach.ts";
import { LocalRunner } from "../../src/runner/local-runner.ts";
import { type Bench, localKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { HostService, KV } from "../plugins/gen/kv_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { startKv } from "../plugins/started-kv.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import { HANDSHAKE, hostKv, startKvOn } from "./started-client.ts";

/** A logger that keeps what is urgent. */
function errorsOf(said: string[]): Logger {
  return {
    isEnabled: () => true,
    log: (level, message) => void (level === "error" && said.push(message)),
    named: () => errorsOf(said),
  };
}

/** A client of a shell program that stands in for the plugin, and notes each start. */
function shellClient(bench: Bench, program: string, options: object = {}) {
  const notes = join(bench.directory, "starts");
  const command = ["/bin/sh", "-c", `echo started >>"$0"; ${program}`, notes] as const;
  const client = new Client({
    handshakeConfig: HANDSHAKE,
    autoMtls: false,
    runnerFunc: ({ environment }) => bench.runner({ command, environment }),
    ...options,
  });
  return { client, starts: () => readFileSync(notes, "utf8").trim().split("\n").length };
}

describe("what go-plugin's own tests ask of a host, without a plugin of its kind", () => {
  test("TestClient: a plugin that cannot be reached is ended, and its client has exited", async () => {
    await using bench = await localKind.open();
    const { client } = shellClient(bench, "echo '1|1|tcp|127.0.0.1:1|grpc|'; exec sleep 5000");
    expect((await failureOf(client.start())).code).toBe("forward-failed");
    expect([client.exited, (await client.exitReason()).kind]).toEqual([true, "start-failed"]);
    await client.kill();
  });

  test("TestClient_killStart: a kill after a failed start starts nothing", async () => {
    await using bench = await localKind.open();
    const { client, starts } = shellClient(bench, "echo '1|2|tcp|127.0.0.1:1|grpc|'; exec sleep 5000");
    expect((await failureOf(client.start())).message).toContain("incompatible API version with plugin");
    await client.kill();
    expect([starts(), client.exited]).toEqual([1, true]);
    expect((await failureOf(client.start())).code).toBe("closed");
    expect(starts()).toBe(1);
  });

  test("a RunnerFunc that fails leaves no directory; neither does a runner whose start does", async () => {
    await using bench = await localKind.open();
    const failure = new RangeError("no runner today");
    const throws = { handshakeConfig: HANDSHAKE, runnerFunc: () => Promise.reject(failure) };
    await expect(new Client(throws).start()).rejects.toBe(failure);
    const runnerFunc = () => bench.runner({ command: ["/no/such/plugin"] });
    const client = new Client({ handshakeConfig: HANDSHAKE, runnerFunc });
    expect((await failureOf(client.start())).code).toBe("plugin-not-started");
    expect([...readdirSync(bench.hostTmp), ...readdirSync(bench.boxTmp)]).toEqual([]);
  });

  test("TestSetGroup: the runner is told the group, by name and by number, and the directory is the group's", async () => {
    const [name, gid] = ["-gn", "-g"].map((flag) => execFileSync("id", [flag], { encoding: "utf8" }).trim());
    for (const group of [name ?? "", gid ?? ""]) {
      await using bench = await localKind.open();
      const specs: RunnerSpec[] = [];
      const runnerFunc = (spec: RunnerSpec) => {
        specs.push(spec);
        const { environment, unixSocketGroup = "" } = spec;
        return bench.runner({ command: ["sleep", "5000"], environment, unixSocketGroup });
      };
      const unixSocketConfig = { group };
      await using client = new Client({ handshakeConfig: HANDSHAKE, unixSocketConfig, runnerFunc });
      const given = expect(client.start()).rejects.toMatchObject({ code: "closed" });
      const [directory = ""] = await eventually(
        () => {
          const made = readdirSync(bench.boxTmp).filter((made) => (statSync(join(bench.boxTmp, made)).mode & 0o70) > 0);
          return made.length > 0 && made;
        },
        { what: "the private directory", timeoutMs: 20_000 },
      );
      const { mode, gid: owner } = statSync(join(bench.boxTmp, directory));
      expect([(mode & 0o7777).toString(8), owner]).toEqual(["770", Number(gid)]);
      expect(specs).toMatchObject([{ environment: { PLUGIN_UNIX_SOCKET_GROUP: group }, unixSocketGroup: group }]);
      await client.kill();
      await given;
    }
  });
});

describe.skipIf(!hasTier("go"))("what go-plugin's own tests ask of a host, with a plugin of go-plugin's", () => {
  beforeAll(buildKv, 6 * 60_000);

  test("TestClient_testCleanup: a kill lets the plugin clean up, and nothing is logged as an error", async () => {
    await using bench = await localKind.open();
    const [errors, stderr] = [[] as string[], new PassThrough()];
    const hosted = await startKvOn(bench, { flags: ["-slow-end", "50"], logger: errorsOf(errors), stderr });
    await hosted.client.kill();
    expect(String(stderr.read())).toContain("kv: cleaning up");
    expect([await hosted.client.wait(), errors]).toEqual([{ code: 0, signal: null }, []]);
  });

  test("TestClient_noStdoutScannerRace: a stdout that comes slowly is read to its end", async () => {
    await using bench = await localKind.open();
    const errors: string[] = [];
    const command = [await buildKv()] as const;
    const runnerFunc = ({ environment }: RunnerSpec) => {
      const runner = new LocalRunner({ command, environment, directoryBase: bench.boxTmp });
      const { stdout } = runner;
      const slow = new PassThrough();
      (async () => {
        for await (const chunk of stdout) {
          for (const byte of chunk) await turn(slow.write(Buffer.of(byte)));
        }
        slow.end();
      })();
      return Object.defineProperty(runner, "stdout", { value: slow });
    };
    const logger = errorsOf(errors);
    const client = new Client({ handshakeConfig: HANDSHAKE, shutdownTimeoutMs: 30_000, runnerFunc, logger });
    await client.start();
    await client.kill();
    expect([await client.wait(), errors]).toEqual([{ code: 0, signal: null }, []]);
  });

  test.each([
    [true, "FROM_HOST_ENV"],
    [false, undefined],
  ])("TestClient_SkipHostEnv: with inheritEnvironment %s the plugin sees %s", async (inheritEnvironment, seen) => {
    process.env.GPT_HOST_ENV = "FROM_HOST_ENV";
    onTestFinished(() => void delete process.env.GPT_HOST_ENV);
    await using bench = await localKind.open();
    await using hosted = await startKvOn(bench, { runner: { inheritEnvironment } as object });
    expect((await hosted.kv.inspect({})).environment.GPT_HOST_ENV).toBe(seen);
  });

  test("TestClient_Stdin, the other way round: the stdin of a plugin is /dev/null", async () => {
    await using bench = await localKind.open();
    await using hosted = await startKvOn(bench);
    expect((await hosted.kv.inspect({})).stdinIsDevNull).toBe(true);
  });

  test("TestClient_grpc_servercrash: when the runner kills the plugin, whoever uses it is told", async () => {
    await using bench = await localKind.open();
    const plugins = { kv: { grpcClient: async (context: GrpcPluginContext) => context } };
    await using hosted = await hostKv(bench, { plugins });
    const { signal } = (await hosted.client.dispense("kv")) as GrpcPluginContext;
    expect(signal.aborted).toBe(false);
    const told = once(signal, "abort");
    await hosted.runner.kill();
    await told;
    expect(signal.reason).toMatchObject({ code: "plugin-exited" });
  });

  test("net/rpc: a plugin that speaks it is ended, and told apart from one that is broken", async () => {
    await using bench = await localKind.open();
    await using refused = await hostKv(bench, { flags: ["-netrpc"], autoMtls: false });
    expect((await failureOf(refused.client.start())).message).toContain('unsupported plugin protocol "netrpc"');
    const allowedProtocols = ["netrpc", "grpc"] as const;
    await using allowed = await hostKv(bench, { flags: ["-netrpc"], autoMtls: false, allowedProtocols });
    expect((await failureOf(allowed.client.start())).code).toBe("unsupported");
    for (const { runner } of [refused, allowed]) expect(await runner.wait()).toMatchObject({ code: null });
  });

  test("a plugin that multiplexes is connected to with the start, not with the first call", async () => {
    await using bench = await localKind.open();
    await using hosted = await hostKv(bench, { grpcBrokerMultiplex: true, plugins: { kv: KV } });
    const opened = vi.spyOn(LocalRunner.prototype, "openStream");
    onTestFinished(() => opened.mockRestore());
    await hosted.client.start();
    expect(opened).toHaveBeenCalledTimes(1);
    await hosted.kv.echo({});
    await hosted.client.ping();
    expect(opened).toHaveBeenCalledTimes(1);
  });

  test.each([
    ["that multiplexes, after a graceful kill", true],
    ["that a signal killed", false],
  ])("a plugin %s leaves no socket", async (_what, grpcBrokerMultiplex) => {
    await using bench = await localKind.open();
    await using hosted = await startKvOn(bench, { grpcBrokerMultiplex });
    const [directory = ""] = readdirSync(bench.boxTmp);
    const files = () => readdirSync(join(bench.boxTmp, directory));
    expect(files().filter((file) => file.startsWith("plugin"))).toHaveLength(1);
    if (grpcBrokerMultiplex) await hosted.client.kill();
    else process.kill(hosted.runner.process?.pid ?? 0, "SIGKILL");
    await hosted.runner.wait();
    await eventually(() => readdirSync(bench.boxTmp).length === 0, { what: "the directory to go" });
  });

  test("UnixSocketConfig.TempDir: this side's sockets are in a private directory below it", async () => {
    await using bench = await localKind.open();
    const tempDir = join(bench.directory, "mine");
    mkdirSync(tempDir);
    await using hosted = await startKvOn(bench, { unixSocketConfig: { tempDir } });
    const { broker } = hosted.client;
    const id = broker.nextId();
    const greet = ({ text }: { text: string }) => ({ text: `Hello, ${text}` });
    await broker.acceptAndServe(id, (router) => void router.service(HostService, { greet }));
    const [made = ""] = readdirSync(tempDir);
    expect((statSync(join(tempDir, made)).mode & 0o777).toString(8)).toBe("700");
    await hosted.client.kill();
    expect(readdirSync(tempDir)).toEqual([]);
  });
});

describe.skipIf(!hasTier("go"))("a plugin of go-plugin's is reattached to", () => {
  beforeAll(buildKv, 6 * 60_000);

  test("TestClient_reattachGRPC: by what its first host wrote down, called, and ended gracefully", async () => {
    await using bench = await localKind.open();
    await using first = await startKvOn(bench, { autoMtls: false });
    const reattach: ReattachConfig = JSON.parse(JSON.stringify(await first.client.reattachConfig()));
    expect(reattach.pid).toBe(first.runner.process?.pid);
    const { pid, processStartTime: startTime, addr } = reattach;
    const reattachFunc = attachProcess({ pid, startTime, addr, pollIntervalMs: 5 });
    const options = { handshakeConfig: HANDSHAKE, shutdownTimeoutMs: 30_000, plugins: { kv: KV } };
    const second = new Client({ ...options, reattach, reattachFunc });
    const kv = await second.dispense("kv");
    await kv.put({ key: "k", value: Buffer.from("v") });
    expect(Buffer.from((await kv.get({ key: "k" })).value).toString()).toBe("v");
    expect([second.exited, await second.reattachConfig()]).toEqual([false, reattach]);
    // Long enough for many looks at the process.
    for (let n = 0; n < 100; n += 1) await kv.echo({});
    expect(second.exited).toBe(false);
    await second.kill();
    expect([second.exited, await first.client.wait()]).toEqual([true, { code: 0, signal: null }]);
  });

  test("TestServer_testMode: in its test mode, where a kill changes nothing", async () => {
    const kv = await startKv(["-reattach"], { KV_PLUGIN_COOKIE: "" });
    const config = parseReattachConfig(JSON.parse(await kv.stdout.until(/^\{.*\}$/m)));
    expect(config).toMatchObject({ protocol: "grpc", protocolVersion: 1, pid: kv.pid, test: true });
    const client = new Client({ handshakeConfig: HANDSHAKE, plugins: { kv: KV }, reattach: config });
    await (await client.dispense("kv")).echo({});
    await client.kill();
    expect(isAlive(kv.pid)).toBe(true);
    process.kill(kv.pid, "SIGTERM");
    expect(await kv.exited).toEqual({ code: 0, signal: null });
  });
});
