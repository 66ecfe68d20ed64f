import { spawn } from "node:child_process";
import { chmodSync, copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { buildKv, hasGo } from "../plugins/go-plugins.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { runNode } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";
import { startWan, type Wan } from "../tools/wan.ts";
import { destination, HOST_VARIABLES } from "./start-shim.ts";

const LIMIT_MS = 5 * 60_000;
const ROUNDS = 5;
const ROUND_TRIP_MS = 50;
/** So far apart that what a busy machine adds does not look like a round trip. */
const LONG_MS = [200, 1000] as const;

/** Figures for docs/performance.md. They are printed, and only what must be so on every machine is checked. */
describe.skipIf(!hasGo() || !hasTier("netns"))("from the start of the process to its line", () => {
  test("by the shim and by ssh, on loopback and over a long link", { timeout: LIMIT_MS }, async () => {
    const near = await measure(ROUNDS);
    const far = await over(ROUND_TRIP_MS, ROUNDS);
    const [short, long] = [await over(LONG_MS[0], 2), await over(LONG_MS[1], 2)];
    for (const way of ["installed", "command", "ssh"] as const) {
      const trips = (long[way] - short[way]) / (LONG_MS[1] - LONG_MS[0]);
      const times = `${near[way]} ms on loopback, ${far[way]} ms at ${ROUND_TRIP_MS} ms`;
      console.log(`${way}: ${times}, ${trips.toFixed(1)} round trips`);
      expect(trips).toBeGreaterThan(1);
    }
  });
});

async function over(roundTripMs: number, rounds: number) {
  await using wan = await startWan({ delayMs: roundTripMs / 2, lossPercent: 0, rateMbit: 1000 });
  return await measure(rounds, wan);
}

/** Milliseconds to the line, the best of several starts, each way once in a round. */
async function measure(rounds: number, network?: Wan) {
  // Not our own account, whose start-up files may do all kinds of things.
  const login = hasTier("login") ? { user: TEST_LOGIN } : {};
  await using server = await startOpenSsh({ ...login, ...(network && { network }) });
  using user = await openUserHome({ dist: built(), server });
  chmodSync(user.directory, 0o755);
  const plugin = join(user.directory, "kv");
  copyFileSync(await buildKv(), plugin);
  const cli = join(built(), "go-plugin-ssh.js");
  const shim = join(user.directory, "shim");
  const words = ["--carry", "pass", "--", plugin];
  const install = await runNode([cli, "shim", "--install", shim, destination(server), ...words], { env: user.env });
  expect(install).toMatchObject({ code: 0 });
  const config = join(user.directory, "ssh_config");
  writeFileSync(
    config,
    `Host *\n  IdentityFile ${join(user.home, ".ssh/id_ed25519")}\n  UserKnownHostsFile ${server.knownHostsFile}\n`,
  );
  const byHand = Object.entries(HOST_VARIABLES).map(([name, value]) => `${name}=${value}`);
  const ways = {
    installed: [shim],
    command: [process.execPath, cli, "shim", destination(server), ...words],
    ssh: ["ssh", "-F", config, "-T", "-p", `${server.port}`, `${server.user}@${server.host}`, "env", ...byHand, plugin],
  };
  const took: Record<keyof typeof ways, number[]> = { installed: [], command: [], ssh: [] };
  for (let round = 0; round < rounds; round++) {
    for (const [way, [program = "", ...args]] of Object.entries(ways)) {
      const env = { ...user.env, ...HOST_VARIABLES };
      took[way as keyof typeof ways].push(await lineAfter(program, args, env));
    }
  }
  await server.stop({ leftovers: "end" });
  return Object.fromEntries(Object.entries(took).map(([way, all]) => [way, Math.min(...all)])) as Record<
    keyof typeof ways,
    number
  >;
}

/** How long a program takes until it has printed a handshake line; it is ended then. */
async function lineAfter(program: string, args: readonly string[], env: Record<string, string>): Promise<number> {
  const began = performance.now();
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  child.stderr.on("data", (chunk) => {
    said += chunk;
  });
  const ended = new Promise((resolve) => child.once("close", resolve));
  const line = await new Promise<string>((resolve) => {
    child.stdout.once("data", (chunk) => resolve(String(chunk)));
    child.once("error", (failure) => resolve(failure.message));
    void ended.then(() => resolve(""));
  });
  const took = performance.now() - began;
  expect(line, said).toMatch(/^1\|1\|unix\|/);
  child.kill("SIGTERM");
  await ended;
  return Math.round(took);
}
