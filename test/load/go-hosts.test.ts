import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { buildHost, buildProgram, hasGo } from "../plugins/go-plugins.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { shimWords } from "../shim/start-shim.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";

/** How much is streamed each way. */
const MIB = Number(process.env.GO_PLUGIN_SSH_TEST_LOAD_MIB ?? 1024);

const SECURITIES = [[], ["-automtls"]];
const nameOf = (flags: readonly string[]) => (flags.includes("-automtls") ? "AutoMTLS" : "plaintext");

describe.skipIf(!hasGo() || !hasTier("openssh"))("hosts in Go with the plugin behind a shim", () => {
  let server: TestServer;
  let user: UserHome;
  let tmp = "";

  beforeAll(async () => {
    await Promise.all(["netrpchost", "streamhost", "counterhost"].map((name) => buildHost(name)));
    await Promise.all(["muxcounter", "kv", "counter"].map((name) => buildProgram(name)));
  }, 12 * 60_000);

  beforeEach(async () => {
    server = await startOpenSsh({ options: ["MaxStartups 50", "MaxSessions 50"] });
    user = await openUserHome({ dist: built(), server });
    tmp = mkdtempSync(join(tmpdir(), "gph"));
  });

  afterEach(async () => {
    rmSync(tmp, { recursive: true, force: true });
    // Both fail if anything is left, on the box or here.
    await server.stop();
    user[Symbol.dispose]();
  });

  /** Runs a host in both ways: what it said with the plugin as its child, and with the shim as its child. */
  async function bothWays(
    hostName: string,
    hostFlags: readonly string[],
    plugin: string,
    flags: readonly string[] = [],
  ) {
    const host = await buildHost(hostName);
    const command = [await buildProgram(plugin)];
    const local = await run(host, [...hostFlags, ...command], { ...user.env, TMPDIR: tmp });
    const words = shimWords({ user, server, flags, command });
    const shimmed = await run(host, [...hostFlags, process.execPath, ...words], { ...user.env, TMPDIR: tmp });
    return { local, shimmed };
  }

  test.each(
    SECURITIES.flatMap((flags) => ["pass", "terminate"].map((carry) => [nameOf(flags), carry, flags] as const)),
  )("net/rpc with calls back through the MuxBroker, %s, --carry %s", async (_what, carry, flags) => {
    const { local, shimmed } = await bothWays("netrpchost", flags, "muxcounter", ["--carry", carry]);
    expect(local.stdout).toContain("so far: 210\nsum: 210\nexited: true");
    expect(shimmed.stdout).toBe(local.stdout);
    // Over net/rpc go-plugin's own `Quit` may lose the race against the plugin's end, here as well as locally.
    expect(shimmed.stderr).not.toContain("MaxListeners");
  });

  test.each(SECURITIES.map((flags) => [nameOf(flags), flags] as const))(
    "a gibibyte each way at once in one stream, %s",
    { timeout: 600_000 },
    async (_what, flags) => {
      const { local, shimmed } = await bothWays("streamhost", [...flags, "-mib", String(MIB)], "kv");
      expect(local.stdout).toContain(`bytes: ${MIB * 1024 * 1024}`);
      expect(shimmed.stdout).toBe(local.stdout);
      const [, sent, received] = /sent: +(\S+)\nreceived: +(\S+)/.exec(shimmed.stdout) ?? [];
      expect(received).toBe(sent);
      say(
        `${MIB} MiB each way, ${nameOf(flags)}: ${seconds(local.ms)} s locally, ${seconds(shimmed.ms)} s behind the shim`,
      );
    },
  );

  test("1,000 listeners of the host's, one after the other, and 100 of the plugin's", {
    timeout: 600_000,
  }, async () => {
    const flags = ["-automtls", "-puts", "1000", "-at-once", "8", "-echoes", "100"];
    const { local, shimmed } = await bothWays("counterhost", flags, "counter");
    expect(local.stdout).toContain("sum: 500500\nechoes: 100\n");
    expect(shimmed.stdout).toBe(local.stdout);
    say(`1,100 brokered connections: ${seconds(local.ms)} s locally, ${seconds(shimmed.ms)} s behind the shim`);
  });
});

interface Run {
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

/** Runs a host to its end, which must be a good one. */
async function run(host: string, args: readonly string[], env: Record<string, string>): Promise<Run> {
  const began = performance.now();
  try {
    const options = { env, timeout: 280_000, maxBuffer: 64 * 1024 * 1024 };
    const { stdout, stderr } = await promisify(execFile)(host, args, options);
    return { stdout, stderr, ms: performance.now() - began };
  } catch (failure) {
    const { stdout, stderr } = failure as Run;
    throw new Error(`${host} failed.\n${stdout}\n${stderr}`, { cause: failure });
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

function say(text: string): void {
  process.stdout.write(`load: ${text}\n`);
}
