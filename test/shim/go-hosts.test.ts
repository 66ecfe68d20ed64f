import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildHost, buildProgram, hasGo } from "../plugins/go-plugins.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { runNode, start } from "../tools/run-node.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";
import { destination } from "./start-shim.ts";

/** The first of them builds Go programs. */
const LIMIT_MS = 5 * 60_000;

/** A host, what it is told, and the plugin that it gets. */
const CASES = [
  ["kvhost", [], "kv", []],
  ["kvhost", ["-automtls"], "kv", []],
  ["kvhost", ["-mux", "-automtls"], "kv", []],
  ["kvhost", ["-automtls"], "kv", ["-tcp"]],
  ["counterhost", [], "counter", []],
  ["counterhost", ["-automtls"], "counter", []],
  ["counterhost", ["-mux"], "counter", []],
  ["counterhost", ["-mux", "-automtls"], "counter", []],
  ["netrpchost", [], "muxcounter", []],
  ["versionshost", [], "kv", ["-versions", "1,2,3"]],
  ["streamhost", ["-mib", "32", "-automtls"], "kv", []],
] as const;

let server: TestServer;
let user: UserHome;
/** Go hosts leave sockets of their own behind, also without a shim. */
let tmp = "";
/** Whether plugins ended in the two seconds that their hosts gave them, by the way between the two. */
const ends = new Map<string, boolean[]>();

beforeAll(async () => {
  server = hasTier("login") ? await startOpenSsh({ user: TEST_LOGIN }) : await startEmbedded();
  user = await openUserHome({ dist: built(), server });
  chmodSync(user.directory, 0o755);
  tmp = join(user.directory, "h");
  mkdirSync(tmp);
});

afterAll(async () => {
  await server.stop();
  user[Symbol.dispose]();
});

describe.skipIf(!hasGo())("hosts in Go, unchanged: the same with the plugin on a box as with it here", () => {
  test.each(CASES)("%s %j, %s %j", { timeout: LIMIT_MS }, async (hostName, hostFlags, pluginName, pluginFlags) => {
    const [host, program] = await Promise.all([buildHost(hostName), buildProgram(pluginName)]);
    // Where the box's login can read it.
    const plugin = join(user.directory, pluginName);
    if (!existsSync(plugin)) cpSync(program, plugin);
    const shim = join(user.directory, "shims", pluginName);
    const words = ["shim", "--install", shim, destination(server), "--", plugin];
    expect(await runNode([join(built(), "go-plugin-ssh.js"), ...words], { env: user.env })).toMatchObject({ code: 0 });
    const run = (command: string) =>
      start(host, [...hostFlags, command, ...pluginFlags], { env: { ...user.env, TMPDIR: tmp }, timeoutMs: 120_000 })
        .ended;
    const near = await run(plugin);
    const far = await run(shim);
    expect(near, near.stderr).toMatchObject({ code: 0 });
    expect(far.stdout, far.stderr).toBe(near.stdout);
    expect(far.code).toBe(0);
    expect(far.stderr).toMatch(/go-plugin-ssh\.shim/);
    // The rest of the log is the plugin's: yamux complains of its own end now and then, here as well as there.
    expect(far.stderr).not.toMatch(/\[(WARN|ERROR)\].*go-plugin-ssh\.shim/);
    // A host kills a plugin that takes two seconds to end, and then the next shim tidies up.
    const isInTime = !far.stderr.includes("failed to exit gracefully");
    if (isInTime) expect(readdirSync(tmp).filter((name) => name.startsWith("gps-"))).toEqual([]);
    // Over net/rpc go-plugin's own `Quit` may lose the race against the plugin's end, here as well as there.
    if (hostName === "netrpchost") return;
    const kind = ["-mux", "-automtls"].find((flag) => hostFlags.some((one) => one === flag)) ?? "plaintext";
    ends.set(kind, [...(ends.get(kind) ?? []), isInTime]);
  });

  test("none of the kinds takes longer to end than a host waits, but for one that a busy machine held up", () => {
    expect([...ends.keys()].sort()).toEqual(["-automtls", "-mux", "plaintext"]);
    for (const [kind, inTime] of ends) expect(inTime, kind).toContain(true);
  });
});
