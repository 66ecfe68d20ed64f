import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { type AttachProcessOptions, attachProcess } from "../../../src/client/reattach/attach-process.ts";
import { type Address, parseAddress } from "../../../src/contract/address.ts";
import { failureOf } from "../../contract/said.ts";
import { buildKv, hasGo } from "../../plugins/go-plugins.ts";
import { eventually } from "../../tools/eventually.ts";
import { isAlive, signalFound } from "../../tools/leaks.ts";

const UNKNOWN = { code: null, signal: null };
const directory = mkdtempSync(join(tmpdir(), "gpt"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Stands for the plugin's socket, and counts who comes. */
const path = join(directory, "plugin");
const addr: Address = { network: "unix", path };
let visitors: Socket[] = [];
const server = createServer((socket) => visitors.push(socket.on("error", () => {}).resume()));
beforeAll(async () => void (await once(server.listen(path), "listening")));
afterAll(() => server.close());
beforeEach(() => {
  visitors = [];
});

describe("a process", () => {
  test("is found by its pid and start time, without a touch, and ended for good", async () => {
    const { pid, startTime, child } = await started();
    const runner = await attachProcess({ pid, startTime, addr, pollIntervalMs: 20 })();
    expect(runner.id).toBe(String(pid));
    expect(runner.process).toEqual({ pid, startTime });
    expect(await runner.pluginToHost(addr)).toEqual(addr);
    expect(await runner.hostToPlugin(addr)).toEqual(addr);
    const waiting = runner.wait();
    const killing = [runner.kill(), runner.kill()];
    await Promise.all(killing);
    expect(isAlive(pid)).toBe(false);
    await eventually(() => child.signalCode === "SIGKILL", { what: "its end by SIGKILL", timeoutMs: 20_000 });
    expect([await waiting, await runner.wait()]).toEqual([UNKNOWN, UNKNOWN]);
    await runner.kill();
    expect(visitors).toEqual([]);
  });

  test("is found by its pid alone, if somebody serves at its address", async () => {
    const { pid, startTime } = await started();
    const runner = await attachProcess({ pid, addr })();
    expect(runner.process?.startTime).toBe(startTime);
    await eventually(() => visitors.length === 1, { what: "the probe", timeoutMs: 20_000 });
    await attachProcess({ pid, addr, probe: false })();
    expect(visitors).toHaveLength(1);

    const deaf: Address = { network: "tcp", host: "127.0.0.1", port: 1 };
    const failure = await failureOf(attachProcess({ pid, addr: deaf })());
    expect(failure).toMatchObject({ code: "not-found", message: expect.stringContaining("127.0.0.1:1") });
    await attachProcess({ pid, startTime, addr: deaf })();
    expect(isAlive(pid)).toBe(true);
  });

  test("that ends is noticed by whoever waits, and a wait can be given up", async () => {
    const { pid, startTime, child } = await started();
    const runner = await attachProcess({ pid, startTime, addr, pollIntervalMs: 20 })();
    const giveUp = new AbortController();
    const [impatient, patient] = [failureOf(runner.wait(giveUp.signal)), runner.wait()];
    giveUp.abort();
    expect((await impatient).code).toBe("aborted");
    expect((await failureOf(runner.wait(AbortSignal.timeout(1)))).code).toBe("timeout");
    child.kill("SIGTERM");
    expect(await patient).toEqual(UNKNOWN);
    await runner.kill();
  });

  test("is not found if it is gone, or another has its pid, and nobody is killed", async () => {
    const { pid, startTime, child } = await started();
    const other = await failureOf(attachProcess({ pid, startTime: String(Number(startTime) - 1), addr })());
    expect(other).toMatchObject({ code: "not-found", message: expect.stringContaining("another one") });
    expect(other.message).toContain("reattachment process not found");
    const missing = { network: "unix", path: join(directory, "nothing") } as const;
    expect(await failureOf(attachProcess({ pid, startTime, addr: missing })())).toMatchObject({ code: "not-found" });
    const file = { network: "unix", path: join(directory, "file") } as const;
    writeFileSync(file.path, "");
    expect(await failureOf(attachProcess({ pid, startTime, addr: file })())).toMatchObject({ code: "not-found" });
    expect(isAlive(pid)).toBe(true);

    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
    const gone = await failureOf(attachProcess({ pid, startTime, addr })());
    expect(gone).toMatchObject({ code: "not-found", message: expect.stringContaining(`no process ${pid}`) });
    expect((await failureOf(attachProcess({ pid, addr })(AbortSignal.abort()))).code).toBe("aborted");
  });

  test("that has got the plugin's pid after it was attached to is left alone", async () => {
    const { pid, startTime } = await started();
    const runner = await attachProcess({ pid, startTime, addr, pollIntervalMs: 20 })();
    // As if the plugin had ended, and this were a newcomer.
    Object.assign(runner, { process: { pid, startTime: String(Number(startTime) - 1) } });
    expect(await runner.wait()).toEqual(UNKNOWN);
    await runner.kill();
    expect(isAlive(pid)).toBe(true);
  });

  test("of another account lives, and cannot be ended", async () => {
    const isRoot = process.getuid?.() === 0;
    const { pid, startTime } = isRoot ? await started({ uid: 1 }) : { pid: 1, startTime: startTimeOf(1) };
    if (isRoot) {
      process.seteuid?.(65_534);
      onTestFinished(() => process.seteuid?.(0));
    }
    expect(() => process.kill(pid, 0)).toThrow("EPERM");
    const away: Address = { network: "tcp", host: "127.0.0.1", port: 1 };
    const runner = await attachProcess({ pid, startTime, addr: away })();
    expect((await failureOf(runner.wait(AbortSignal.timeout(50)))).code).toBe("timeout");
    const failure = await failureOf(runner.kill());
    expect(failure).toMatchObject({ code: "still-running", message: expect.stringContaining("EPERM") });
    if (!isRoot) return;
    // The directory of the test's socket is root's alone.
    const hidden = await failureOf(attachProcess({ pid, startTime, addr })());
    expect(hidden).toMatchObject({ code: "not-found", hint: expect.stringContaining("account") });
    // Whoever may not end it now may do so later.
    process.seteuid?.(0);
    await runner.kill();
    expect(isAlive(pid)).toBe(false);
  });

  test.each([
    ["a pid of everybody's", { pid: -1 }],
    ["a pid of our group's", { pid: 0 }],
    ["no pid", { pid: Number.NaN }],
    ["a pid of another machine's", { destination: "ssh://me@box:22" }],
    ["a poll without rest", { pollIntervalMs: 0 }],
    ["a poll that never comes", { pollIntervalMs: Number.POSITIVE_INFINITY }],
  ] as [string, Partial<AttachProcessOptions>][])("%s is refused", (_what, option) => {
    expect(() => attachProcess({ pid: process.pid, addr, ...option })).toThrow(
      expect.objectContaining({
        code: "bad-options",
        message: expect.stringMatching(/`pid`|`pollIntervalMs`|ssh:\/\/me@box:22/),
      }),
    );
  });
});

describe.skipIf(!hasGo())("a plugin of go-plugin's that somebody else has started", () => {
  beforeAll(buildKv, 6 * 60_000);

  test.each([
    ["found by pid and start time, though it multiplexes", { PLUGIN_MULTIPLEX_GRPC: "true" }, true],
    ["found by pid, and by an answer at its address", {}, false],
  ] as const)("can be %s", async (_what, environment, byStart) => {
    const { pid, address } = await detachedKv(environment);
    const startTime = startTimeOf(pid);
    const find = attachProcess({ pid, addr: address, pollIntervalMs: 20, ...(byStart && { startTime }) });
    const [runner, second] = [await find(), await find()];
    const waiting = second.wait();
    expect(runner.process).toEqual({ pid, startTime });
    await expect(Promise.race([waiting, isAlive(pid)])).resolves.toBe(true);
    await runner.kill();
    expect(await waiting).toEqual(UNKNOWN);
    expect(isAlive(pid)).toBe(false);
    expect((await failureOf(find())).code).toBe("not-found");
  });
});

/** A process of ours that stays, as long as the test. */
async function started(options: { uid?: number } = {}) {
  const child: ChildProcess = spawn("/bin/sleep", ["5000"], { stdio: "ignore", ...options });
  await once(child, "spawn");
  onTestFinished(() => void child.kill("SIGKILL"));
  const pid = child.pid ?? 0;
  return { child, pid, startTime: startTimeOf(pid) };
}

/** Serves in a session of its own, as nobody's child. */
async function detachedKv(environment: Record<string, string>): Promise<{ pid: number; address: Address }> {
  const home = mkdtempSync(join(directory, "kv"));
  const said = join(home, "out");
  const starter = spawn("/bin/sh", ["-c", 'setsid "$1" >"$2" 2>&1 & echo $!', "sh", await buildKv(), said], {
    stdio: ["ignore", "pipe", "inherit"],
    env: {
      PATH: process.env.PATH ?? "",
      KV_PLUGIN_COOKIE: "kv",
      PLUGIN_PROTOCOL_VERSIONS: "1",
      PLUGIN_UNIX_SOCKET_DIR: home,
      ...environment,
    },
  });
  const [line] = await once(starter.stdout, "data");
  const pid = Number(String(line));
  onTestFinished(() => {
    if (isAlive(pid)) signalFound(pid);
  });
  const handshake = /^1\|1\|(\w+)\|([^|]+)\|grpc/m;
  const match = await eventually(() => handshake.exec(readFileSync(said, "utf8")), {
    what: "the handshake",
    timeoutMs: 20_000,
  });
  return { pid, address: parseAddress(match[1] ?? "", match[2] ?? "") };
}

function startTimeOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\) /s, "");
  return stat.split(" ")[19] ?? "";
}
