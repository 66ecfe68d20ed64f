import { spawn } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildKv, hasGo } from "../plugins/go-plugins.ts";
import { type EmbeddedTestServer, startEmbedded } from "../servers/embedded.ts";
import { built } from "../tools/built.ts";
import { eventually, isAlive, processesWith } from "../tools/leaks.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";
import { HOST_VARIABLES, shimWords } from "./start-shim.ts";

/** A host that starts a shim, tells its pid and its line, and waits to be killed. */
const HOST = `
const { spawn } = require("node:child_process");
const child = spawn(process.execPath, process.argv.slice(1), { stdio: ["ignore", "pipe", "pipe"] });
child.stderr.resume();
child.stdout.once("data", (line) => console.log(child.pid + " " + line));
setInterval(() => {}, 60_000);
`;

/** Everything must have ended by then, on a machine that may be busy. */
const PATIENCE_MS = 25_000;

let program = "";
/** The same under a name that no other test has. */
let kv = "";
let server: EmbeddedTestServer;
let user: UserHome;

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
  await server.stop();
  user[Symbol.dispose]();
});

/** Starts such a host, kills it when the plugin runs, and gives the shim's pid. */
async function kill(signal: "SIGKILL", flags: readonly string[]): Promise<number> {
  const words = shimWords({ user, server, command: [kv], flags: ["--carry", "pass", ...flags] });
  const host = spawn(process.execPath, ["-e", HOST, "--", ...words], {
    env: { ...user.env, ...HOST_VARIABLES },
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const line of createInterface(host.stdout)) {
    const [, pid, handshake] = /^(\d+) (1\|.*)$/.exec(line) ?? [];
    expect(handshake).toMatch(/\|grpc\|$/);
    host.kill(signal);
    return Number(pid);
  }
  throw new Error("The host has told nothing.");
}

function plugins() {
  return processesWith(kv).filter(({ cmdline }) => cmdline.startsWith(kv));
}

describe.skipIf(!hasGo())("a host that was killed", () => {
  test("takes the shim and the plugin with it", async () => {
    const pid = await kill("SIGKILL", []);
    await eventually(() => !isAlive(pid) && plugins().length === 0, { what: "both to end", timeoutMs: PATIENCE_MS });
  });

  test("leaves both, if it is one that comes back", async () => {
    const pid = await kill("SIGKILL", ["--when-host-dies", "stay"]);
    // A second shim, which does not stay, shows how long the first one would have needed.
    const other = await kill("SIGKILL", []);
    await eventually(() => !isAlive(other), { what: "the other to end", timeoutMs: PATIENCE_MS });
    expect(isAlive(pid)).toBe(true);
    expect(plugins()).toHaveLength(1);
    process.kill(pid, "SIGTERM");
    await eventually(() => !isAlive(pid), { what: "it to end", timeoutMs: PATIENCE_MS });
  });
});
