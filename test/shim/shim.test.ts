import { existsSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { GRPCController } from "../../src/dial/gen/plugin_pb.ts";
import { Sink } from "../plugins/gen/output_pb.ts";
import { buildKv, hasGo } from "../plugins/go-plugins.ts";
import { print } from "../plugins/kv-services.ts";
import { type EmbeddedTestServer, startEmbedded } from "../servers/embedded.ts";
import { built } from "../tools/built.ts";
import { eventually, processesWith } from "../tools/leaks.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";
import { dial, HOST_VARIABLES, type ShimStart, type StartedShim, startShim } from "./start-shim.ts";

/** Go hosts kill what has not ended by then. */
const SHUTDOWN_MS = 2_000;
/** Less than the shim gives a plugin to end, and far more than it takes to pass an error on. */
const AT_ONCE_MS = 10_000;

let program = "";
/** The same under a name that no other test has. */
let kv = "";
let server: EmbeddedTestServer;
let user: UserHome;
const shims: StartedShim[] = [];

beforeAll(async () => {
  if (hasGo()) program = await buildKv();
}, 6 * 60_000);

beforeEach(async () => {
  server = await startEmbedded();
  user = await openUserHome({ dist: built(), server });
  kv = join(user.directory, "kv");
  if (hasGo()) symlinkSync(program, kv);
});

afterEach(async () => {
  for (const { child, ended } of shims.splice(0)) {
    child.kill("SIGTERM");
    await ended;
  }
  // Fails if a process, a socket or a directory is left on the box or here.
  await server.stop();
  user[Symbol.dispose]();
});

function start(flags: readonly string[] = [], more: Partial<ShimStart> = {}): StartedShim {
  const shim = startShim({ user, server, command: [kv, ...flags], ...more });
  shims.push(shim);
  return shim;
}

/** What runs on the box; the shims themselves name it, too. */
function plugins() {
  return processesWith(kv).filter(({ cmdline }) => cmdline.startsWith(kv));
}

describe.skipIf(!hasGo())("the shim", () => {
  test("prints the plugin's line with an address on this side, and nothing else", async () => {
    const shim = start();
    const { services } = await dial(shim);
    await print(services, Sink.PROCESS_STDOUT, "and more\n");
    expect((await services.kv.echo({ payload: Buffer.from("x") })).payload).toEqual(new Uint8Array(Buffer.from("x")));
    expect(shim.stdout()).toMatch(new RegExp(`^1\\|1\\|unix\\|${user.tmp}/gps-[^|]+\\|grpc\\|\n$`));
  });

  test("ends with the plugin's Shutdown, in time, with its exit code", async () => {
    const took: number[] = [];
    // A busy machine may hold one of them up, and a wait of ours would be in each.
    for (let round = 0; round < 3; round++) {
      const shim = start();
      const { transport } = await dial(shim);
      const [, , , path = ""] = await shim.handshake;
      expect(existsSync(path)).toBe(true);
      const asked = performance.now();
      await createClient(GRPCController, transport)
        .shutdown({})
        .catch(() => {});
      expect(await shim.ended).toEqual({ code: 0, signal: null });
      took.push(performance.now() - asked);
      expect(existsSync(path)).toBe(false);
    }
    expect(Math.min(...took)).toBeLessThan(SHUTDOWN_MS);
  });

  test.each([
    ["an exit code", ["-crash-after", "1", "-crash-code", "7"], 7],
    ["an exit code before the line", ["-exit", "9"], 9],
    ["success without a line, which is how Go plugins fail", ["-exit", "0"], 0],
  ])("passes on %s", async (_what, flags, code) => {
    expect(await start(flags).ended).toEqual({ code, signal: null });
  });

  test("passes on a death by a signal as a shell does", async () => {
    const shim = start();
    const { services } = await dial(shim);
    process.kill(Number((await services.kv.inspect({})).pid), "SIGKILL");
    expect(await shim.ended).toEqual({ code: 137, signal: null });
  });

  test("passes the plugin's stderr on, byte for byte, beside lines of its own", async () => {
    const shim = start();
    const { services } = await dial(shim);
    const text = 'begins\r\n\u0000 naïve 日本\n\n{"@level":3}\nwithout an end';
    const size = 3_000_000 - (3_000_000 % Buffer.byteLength(text));
    await print(services, Sink.PROCESS_STDERR, text, { total: size });
    // Whoever stands still for a second and a half is not waited for at the end, and this process may be held up.
    const isHere = () => shim.stderrBytes().length >= size + shim.stderrBytes().indexOf("begins");
    await eventually(isHere, { what: "all of it" });
    shim.child.kill("SIGTERM");
    await shim.ended;
    const all = shim.stderrBytes();
    const from = all.indexOf("begins");
    const told = all.subarray(from, from + size);
    expect(told.equals(Buffer.from(text.repeat(size / Buffer.byteLength(text))))).toBe(true);
    // Its last line had no end, and ours must not stand in it.
    expect(all.subarray(from + size).toString()).toMatch(/^\n\{"@level":"info",[^\n]*\}\n$/);
    expect(shim.log().map((line) => line["@level"])).toEqual(["debug", "debug", "info"]);
  });

  test("is slowed down, and not stopped, by who reads its stderr slowly", async () => {
    const shim = start();
    const { services } = await dial(shim);
    // Its own lines come first, over another pipe than the address.
    await eventually(() => shim.log().length === 2, { what: "lines of its own" });
    const before = shim.stderr().length;
    shim.read(false);
    await print(services, Sink.PROCESS_STDERR, "0123456789\n", { total: 11_000_000, background: true });
    await services.kv.put({ key: "k", value: Buffer.from("v") });
    for (let n = 0; n < 50; n++) await services.kv.get({ key: "k" });
    expect(shim.stderr().length - before).toBeLessThan(1_000_000);
    shim.read(true);
    const all = () => shim.stderrBytes().length - before >= 11_000_000;
    await eventually(all, { what: "all of it" });
    expect(shim.stderr().slice(before) === "0123456789\n".repeat(1_000_000)).toBe(true);
  });

  test("writes lines of its own as hclog does", async () => {
    const shim = start([], { environment: { TZ: "Asia/Kolkata" } });
    await shim.handshake;
    // Over another pipe than the handshake line.
    const first = await eventually(() => shim.log()[0], { what: "a line of its own" });
    expect(first).toMatchObject({ "@module": "go-plugin-ssh.shim", "@level": "debug" });
    expect(first["@timestamp"]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+05:30$/);
  });

  test("forwards go-plugin's variables, what a pattern names, and nothing else", async () => {
    const shim = start([], {
      environment: { AWS_REGION: "here", AWS_SECRET: "hidden-value", OTHER: "stays", PLUGIN_UNIX_SOCKET_GROUP: "0" },
      variables: { ...HOST_VARIABLES, PLUGIN_UNIX_SOCKET_DIR: "/nonexistent" },
      flags: ["--carry", "pass", "--forward-env", "AWS_*", "--forward-env-set", "terraform"],
    });
    const { services } = await dial(shim);
    const { environment } = await services.kv.inspect({});
    expect(environment).toMatchObject({ ...HOST_VARIABLES, AWS_REGION: "here", AWS_SECRET: "hidden-value" });
    expect(environment.OTHER).toBeUndefined();
    expect(environment.PLUGIN_UNIX_SOCKET_GROUP).toBeUndefined();
    expect(environment.PLUGIN_UNIX_SOCKET_DIR).toMatch(/^\/tmp\/gp-/);
    expect(shim.log()[0]?.variables).toEqual(expect.arrayContaining(["AWS_REGION", "AWS_SECRET", "KV_PLUGIN_COOKIE"]));
    expect(shim.stderr()).not.toContain("hidden-value");
  });

  test("passes net/rpc, and a plugin on TCP", async () => {
    expect(await start(["-netrpc"], { flags: [] }).handshake).toMatchObject({ 2: "unix", 4: "netrpc" });
    const shim = start(["-tcp"]);
    const { services } = await dial(shim);
    expect((await shim.handshake)[2]).toBe("unix");
    expect(await services.kv.version({})).toMatchObject({ version: 1 });
  });

  test("listens on TCP if asked to", async () => {
    const shim = start([], { flags: ["--carry", "pass", "--tcp"] });
    const { services } = await dial(shim);
    expect(await shim.handshake).toMatchObject({ 2: "tcp", 3: expect.stringMatching(/^127\.0\.0\.1:\d+$/) });
    expect(await services.kv.version({})).toMatchObject({ version: 1 });
  });

  test("keeps the seventh field, and passes a multiplexed broker without being told", async () => {
    const shim = start([], { flags: [], variables: { ...HOST_VARIABLES, PLUGIN_MULTIPLEX_GRPC: "true" } });
    expect(await shim.handshake).toMatchObject({ length: 7, 6: "true" });
  });

  test("two at once do not disturb each other", async () => {
    const both = [start(), start()];
    const [one, other] = await Promise.all(both.map(dial));
    await one?.services.kv.put({ key: "k", value: Buffer.from("v") });
    await expect(other?.services.kv.get({ key: "k" })).rejects.toMatchObject({ message: /not_found/ });
  });
});

describe.skipIf(!hasGo())("the shim's end", () => {
  test("SIGINT is the host's to act on", async () => {
    const shim = start();
    const { services } = await dial(shim);
    for (let n = 0; n < 3; n++) shim.child.kill("SIGINT");
    expect(await services.kv.version({})).toMatchObject({ version: 1 });
  });

  test.each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("%s ends the plugin first", async (signal, code) => {
    const shim = start();
    await dial(shim);
    shim.child.kill(signal);
    expect(await shim.ended).toEqual({ code, signal: null });
    expect(plugins()).toEqual([]);
    expect(shim.log().at(-1)).toMatchObject({ "@level": "info", "@message": `Ended by ${signal}.` });
  });

  test("SIGTERM ends it while it is being started, too", async () => {
    const shim = start(["-silent"]);
    await eventually(() => plugins().length > 0, { what: "the plugin to run" });
    shim.child.kill("SIGTERM");
    expect(await shim.ended).toEqual({ code: 143, signal: null });
    expect(plugins()).toEqual([]);
  });

  test("comes when nobody reads its output any more", async () => {
    const shim = start();
    shim.child.stdout?.destroy();
    shim.child.stderr?.destroy();
    expect(await shim.ended).toEqual({ code: 129, signal: null });
    expect(plugins()).toEqual([]);
  });

  test("SIGKILL leaves nothing on the box, and nothing here but what the next start sweeps", async () => {
    const shim = start();
    await dial(shim);
    shim.child.kill("SIGKILL");
    await shim.ended;
    await eventually(() => plugins().length === 0, { what: "the plugin to end" });
    expect(readdirSync(user.tmp)).toHaveLength(1);
    await start().handshake;
    expect(readdirSync(user.tmp)).toHaveLength(1);
  });

  test("a lost link is an error at once for a call, and is told", async () => {
    const shim = start(["-slow-shutdown", "60000"]);
    const { services, transport } = await dial(shim);
    await services.kv.version({});
    const call = createClient(GRPCController, transport).shutdown({});
    call.catch(() => {});
    const lost = performance.now();
    server.embedded.resetConnections();
    await expect(call).rejects.toMatchObject({ message: expect.anything() });
    expect(performance.now() - lost).toBeLessThan(AT_ONCE_MS);
    expect(await shim.ended).toEqual({ code: 255, signal: null });
    expect(shim.log().at(-1)).toMatchObject({ "@level": "error", code: "connection-lost" });
  });
});

afterAll(() => expect(shims).toEqual([]));
