import { chmodSync, copyFileSync, mkdirSync, openSync, rmdirSync, writeFileSync, writeSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { EmbeddedServerOptions } from "../../src/demo/embedded-server.ts";
import { buildKv, hasGo } from "../plugins/go-plugins.ts";
import { type EmbeddedTestServer, startEmbedded } from "../servers/embedded.ts";
import { freePort } from "../servers/spawn-server.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { isAlive, processesWith, signalFound } from "../tools/leaks.ts";
import { runNode } from "../tools/run-node.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";
import { dial, HOST_VARIABLES, type ShimStart, type StartedShim, shimWords, startShim } from "./start-shim.ts";

/** In so many seconds everything before the phase that is meant has long been done, also there. */
const ENOUGH_SECONDS = "15";

const CLI = () => join(built(), "go-plugin-ssh.js");

let kv = "";
const open: AsyncDisposable[] = [];

beforeAll(async () => {
  if (hasGo()) kv = await buildKv();
}, 6 * 60_000);

afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** A server and somebody who may log in to it, until the test is over. */
async function box(options: EmbeddedServerOptions = {}, knowsHost = true) {
  const server = await startEmbedded(options);
  const user = await openUserHome({ dist: built(), server, knowsHost });
  open.push(server, { [Symbol.asyncDispose]: async () => user[Symbol.dispose]() });
  return { server, user };
}

/** Starts a shim, expects it to fail without a line, and gives what it said last. */
async function failed(start: Omit<ShimStart, "command"> & { command?: readonly string[] }, code: number) {
  const shim = startShim({ command: [kv], ...start });
  expect(await shim.ended, shim.stderr()).toEqual({ code, signal: null });
  expect(shim.stdout()).toBe("");
  expect(shim.stderr().trimEnd().split("\n").at(-1)).toContain('"@module":"go-plugin-ssh.shim"');
  const last = shim.log().at(-1);
  expect(last).toMatchObject({ "@level": "error" });
  return last?.["@message"] ?? "";
}

test("a host that never connects is waited for, as a plugin does, and SIGTERM ends both", async () => {
  const at = await box();
  const shim = startShim({ ...at, command: [kv] });
  await shim.handshake;
  const told = () => shim.log().find(({ plugin }) => plugin !== undefined);
  const { plugin: id } = await eventually(told, { what: "the plugin's id", state: shim.stderr });
  const plugin = Number(String(id).split("#")[1]);
  expect(isAlive(plugin)).toBe(true);
  // The session that the plugin runs in, and no connection to it.
  expect(at.server.embedded.channels).toBe(1);
  shim.child.kill("SIGTERM");
  expect(await shim.ended).toEqual({ code: 143, signal: null });
  expect(isAlive(plugin)).toBe(false);
});

describe("what cannot start says why, as hclog, and exits", () => {
  test("no host: what a shim is for", async () => {
    const { user, server } = await box();
    const { code, stdout, stderr } = await runNode(shimWords({ user, server, command: ["/x"] }), { env: user.env });
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(/not meant to be executed directly/);
    expect(stderr).toContain("go-plugin-ssh run");
  });

  test("a host whose cookie cannot be found: how to name it", async () => {
    const { PLUGIN_MIN_PORT = "", ...others } = HOST_VARIABLES;
    const variables = { ...others, PLUGIN_MIN_PORT };
    expect(await failed({ ...(await box()), variables }, 2)).toMatch(/--cookie NAME/);
    expect(await failed({ ...(await box()), flags: ["--cookie", "MISSING"] }, 2)).toMatch(/no variable "MISSING"/);
  });

  test("a wrong command line, too", async () => {
    const { user } = await box();
    for (const words of [["box"], ["box", "--crry", "pass", "--", "x"], ["box", "--carry", "psas", "--", "x"]]) {
      const ended = await runNode([CLI(), "shim", ...words], { env: { ...user.env, ...HOST_VARIABLES } });
      expect(ended).toMatchObject({ code: 2, stdout: "" });
      for (const line of ended.stderr.trimEnd().split("\n")) {
        expect(JSON.parse(line)).toMatchObject({ "@level": "error", "@module": "go-plugin-ssh.shim" });
      }
    }
  });

  test("a certificate of the host's that is none", async () => {
    const variables = { ...HOST_VARIABLES, PLUGIN_CLIENT_CERT: "-----BEGIN CERTIFICATE-----\nAAAA\n" };
    expect(await failed({ ...(await box()), variables }, 78)).toMatch(/^PLUGIN_CLIENT_CERT.* holds no certificate/);
  });

  test("a destination where nobody is", async () => {
    const { user, server } = await box();
    const nobody = { user: server.user, host: "127.0.0.1", port: await freePort() };
    expect(await failed({ user, server: nobody }, 255)).toMatch(/127\.0\.0\.1/);
    const unknown = { user: server.user, host: "no-such-host.invalid", port: 22 };
    expect(await failed({ user, server: unknown }, 255)).toMatch(/no-such-host\.invalid/);
  });

  test("an unknown host key: how to trust it, since nobody can be asked", async () => {
    expect(await failed(await box({}, false), 255)).toMatch(/known_hosts[\s\S]*log in once with `ssh`/);
  });

  test("a login that is refused", async () => {
    expect(await failed(await box({ authorizedKeys: [] }), 77)).toMatch(/did not let .* in[\s\S]*-i <file>/);
  });

  test("a command that is not there, or cannot run on the box", async () => {
    const { user, server } = await box();
    expect(await failed({ user, server, command: ["/no/such/plugin"] }, 1)).toMatch(/no such command on the box/);
    const foreign = join(user.directory, "foreign");
    copyFileSync(process.execPath, foreign);
    const file = openSync(foreign, "r+");
    // The machine in an ELF header: none that anybody has.
    writeSync(file, Buffer.of(0x01, 0x02), 0, 2, 18);
    expect(await failed({ user, server, command: [foreign] }, 1)).toMatch(/architecture|was not started/);
  });

  test("forwarding that is forbidden, where no relay may help", async () => {
    // A plugin is reached lazily, so it starts; the first connection fails.
    const { user, server } = await box({ allowStreamLocalForwarding: false, allowTcpForwarding: false });
    const shim = startShim({ user, server, command: [kv], flags: ["--carry", "pass", "--relay", "never"] });
    const { services } = await dial(shim);
    await expect(services.kv.version({})).rejects.toMatchObject({ message: /unavailable|internal|closed|aborted/i });
    // What it wrote first may come later: stderr is another pipe.
    const told = () => /"@level":"error".*forward-forbidden/.test(shim.stderr());
    await eventually(told, { what: "the shim to say why", state: shim.stderr });
    shim.child.kill("SIGTERM");
    expect(await shim.ended).toEqual({ code: 143, signal: null });
  });

  test.each([
    ["something else than a line", ["-garbage"], 76, /this is not a handshake/],
    ["noise before the line", ["-noise", "Welcome"], 76, /Welcome/],
  ])("%s from the plugin", async (_what, flags, code, message) => {
    expect(await failed({ ...(await box()), command: [kv, ...flags] }, code)).toMatch(message);
  });

  test("a start that takes too long: which phase was slow", { timeout: 120_000 }, async () => {
    const limit = (seconds: string) => ["--carry", "pass", "--start-timeout", seconds];
    const silent = { ...(await box()), flags: limit(ENOUGH_SECONDS), command: [kv, "-silent"] };
    const withoutLogin = { ...(await box({ hangAt: "auth" })), flags: limit("1") };
    const withoutCommand = { ...(await box({ hangAt: "exec" })), flags: limit(ENOUGH_SECONDS) };
    const said = await Promise.all([silent, withoutLogin, withoutCommand].map((start) => failed(start, 124)));
    expect(said[0]).toMatch(/while waiting for the plugin's handshake line/);
    expect(said[1]).toMatch(/while connecting to/);
    expect(said[2]).toMatch(/while starting the plugin/);
  });
});

test("a start that took too long is told before the plugin has ended, which may take longer still", async () => {
  const at = await box();
  const mark = `stubborn ${at.user.directory}`;
  const command = ["/bin/sh", "-c", `trap "" TERM; while :; do sleep 1; done # ${mark}`];
  const shim = startShim({ ...at, command, flags: ["--carry", "pass", "--start-timeout", ENOUGH_SECONDS] });
  const plugins = () =>
    processesWith(mark).filter(({ cmdline }) => cmdline.includes("trap") && cmdline.startsWith("/bin/sh"));
  const tooLate = () => shim.log().filter(({ code }) => code === "timeout");
  await eventually(() => tooLate().length > 0, {
    what: "the phase that was slow",
    state: shim.stderr,
    timeoutMs: 45_000,
  });
  const [plugin] = plugins();
  expect(plugin && isAlive(plugin.pid)).toBe(true);
  if (plugin) signalFound(plugin.pid);
  expect(await shim.ended).toEqual({ code: 124, signal: null });
  expect(tooLate()).toHaveLength(1);
});

test("a server that drops connections before its banner is tried again", async () => {
  const { server, user } = await box();
  let arrived = 0;
  const door = createServer((socket) => {
    socket.on("error", () => {});
    arrived += 1;
    if (arrived <= 2) socket.destroy();
    else socket.pipe(connect(server.port, server.host).on("error", () => {})).pipe(socket);
  });
  await new Promise<void>((resolve) => door.listen(0, "127.0.0.1", resolve));
  const { port } = door.address() as AddressInfo;
  open.push({ [Symbol.asyncDispose]: async () => void door.close() });
  const at = { user: server.user, host: "127.0.0.1", port };
  const command = ["/bin/sh", "-c", "echo '1|1|unix|/tmp/x|grpc|'; exec sleep 60"];
  const shim = startShim({ user, server: at, command, flags: ["--accept-new", "--carry", "pass"] });
  await shim.handshake;
  expect(arrived).toBe(3);
  shim.child.kill("SIGTERM");
  expect(await shim.ended).toEqual({ code: 143, signal: null });
});

describe("a temporary directory", () => {
  let user: UserHome;
  let server: EmbeddedTestServer;

  beforeEach(async () => {
    ({ user, server } = await box());
  });

  async function works(environment: Record<string, string>): Promise<StartedShim> {
    const shim = startShim({ user, server, command: [kv], environment });
    const { services } = await dial(shim);
    expect(await services.kv.version({})).toMatchObject({ version: 1 });
    shim.child.kill("SIGTERM");
    await shim.ended;
    return shim;
  }

  test("whose name is too long for a socket does no harm", async () => {
    const long = join(user.tmp, "x".repeat(100));
    mkdirSync(long);
    const shim = await works({ TMPDIR: long });
    expect((await shim.handshake)[3]).toMatch(/^\/tmp\/gps-/);
    rmdirSync(long);
  });

  test("that cannot be written does no harm", async () => {
    const notOne = join(user.directory, "a-file");
    writeFileSync(notOne, "");
    chmodSync(notOne, 0o400);
    expect((await (await works({ TMPDIR: notOne })).handshake)[3]).toMatch(/^\/tmp\/gps-/);
  });
});
