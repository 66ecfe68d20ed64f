import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import type { Address } from "../../src/contract/address.ts";
import type { Runner } from "../../src/contract/runner.ts";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { type Bench, connectTo, openSshBench } from "../contract/runner-kinds.ts";
import { failureOf, Said } from "../contract/said.ts";
import type { OpenSshOptions } from "../servers/openssh.ts";
import { hasTier } from "../tiers/tiers.ts";

/** What is tried with a plugin that runs. */
type Way = "plugin unix" | "plugin tcp" | "host unix" | "host tcp";
const WAYS: readonly Way[] = ["plugin unix", "plugin tcp", "host unix", "host tcp"];

/** What sshd's options forbid, and what the hint must name then. */
const FORWARDS: [options: string[], forbidden: readonly Way[], names: RegExp][] = [
  [["AllowTcpForwarding no"], WAYS, /AllowTcpForwarding/],
  [["AllowStreamLocalForwarding no"], ["plugin unix", "host unix"], /AllowStreamLocalForwarding/],
  [["DisableForwarding yes"], WAYS, /DisableForwarding/],
  [["PermitOpen none"], ["plugin unix", "plugin tcp"], /PermitOpen/],
  [["PermitListen none"], ["host tcp"], /PermitListen/],
];

/** What keeps a plugin from starting, what the error says, and what its hint names. */
const STARTS: [what: string, server: OpenSshOptions, says: RegExp, names: RegExp][] = [
  ["ForceCommand", { options: ["ForceCommand echo forced"] }, /It said:\n {2}forced/, /ForceCommand/],
  ["ForceCommand that fails", { options: ["ForceCommand exit 7"] }, /exit code 7/, /ForceCommand/],
  ["internal-sftp", { options: ["ForceCommand internal-sftp"] }, /before it ran our program/, /ForceCommand/],
  [
    "a nologin shell",
    { account: { home: "/", shell: "/usr/sbin/nologin" } },
    /This account is currently not available/,
    /nologin/,
  ],
];

describe.skipIf(!hasTier("openssh"))("an sshd with", () => {
  test.each(FORWARDS)("%j says so, and everything else works", async (options, forbidden, names) => {
    await using bench = await openSshBench({ options });
    // Node ends by TERM in its own time.
    const run = { command: bench.command("serves.mjs"), relay: "never", killGraceMs: 20_000 } as const;
    await using plugin = await startPlugin(bench.runner(run));
    const found: Record<string, unknown> = {};
    for (const way of WAYS) {
      found[way] = await plugin.try(way).catch((failure) => {
        expect(failure.hint, way).toMatch(names);
        return failure.code;
      });
    }
    expect(found).toEqual(
      Object.fromEntries(WAYS.map((way) => [way, forbidden.includes(way) ? "forward-forbidden" : "works"])),
    );
    await plugin.runner.kill();
    expect(await plugin.runner.wait()).toEqual({ code: null, signal: "SIGTERM" });
  });

  test("MaxSessions 1 runs one plugin, with all its addresses, and names the option for the second", async () => {
    await using bench = await openSshBench({ options: ["MaxSessions 1"] });
    const server = bench.server as NonNullable<Bench["server"]>;
    const { destination, ...options } = connectTo(server);
    const connection = await connect(destination, options);
    const shared = { connection, directoryBase: bench.boxTmp };
    await using plugin = await startPlugin(new SshRunner({ command: bench.command("serves.mjs"), ...shared } as never));
    for (const way of WAYS) expect([way, await plugin.try(way)]).toEqual([way, "works"]);
    const second = new SshRunner({ command: bench.command("stays.sh"), ...shared });
    const failure = await failureOf(second.start());
    expect(failure.code).toBe("plugin-not-started");
    expect(failure.hint).toContain("MaxSessions");
    // There is no second session to look at the box with.
    const nothing: Address = { network: "unix", path: `${bench.boxTmp}/nothing` };
    expect((await failureOf(Promise.resolve(plugin.runner.openStream?.(nothing)))).code).toBe("forward-failed");
    expect(await plugin.runner.diagnose()).toContain("This usually means");
    await plugin.runner.kill();
    await connection.close();
  });

  const toRun = STARTS.filter(([, { account }]) => !account || hasTier("accounts"));
  test.each(toRun)("%s does not start a plugin, and says why", async (_what, options, says, names) => {
    await using bench = await openSshBench(options);
    const runner = bench.runner({ command: bench.command("stays.sh") });
    const failure = await failureOf(runner.start());
    expect(failure.code, failure.message).toBe("plugin-not-started");
    expect(failure.message).toMatch(says);
    expect(failure.hint).toMatch(names);
    expect(await Promise.all([buffer(runner.stdout), buffer(runner.stderr)])).toEqual([Buffer.of(), Buffer.of()]);
    await runner.kill();
  });

  test("a forced command that sends everything back ends in a timeout, and tells no secret", async () => {
    await using bench = await openSshBench({ options: ["ForceCommand cat"] });
    const runner = bench.runner({
      command: bench.command("stays.sh"),
      environment: { TOKEN: "s3cret-of-the-plugin", LONG: `${"x".repeat(9000)}s3cret` },
      startTimeoutMs: 1000,
    });
    const failure = await failureOf(runner.start());
    expect(failure.code).toBe("timeout");
    expect(failure.message).not.toContain("s3cret");
    expect(failure.message).not.toContain("xxx");
    expect(failure.hint).toContain("ForceCommand");
    await failureOf(runner.wait());
    await runner.kill().catch(() => {});
  });
});

interface Plugin extends AsyncDisposable {
  readonly runner: Runner;
  /** Carries one message over one kind of forward; "works" when it came through. */
  try(way: Way): Promise<string>;
}

/** A plugin that serves on a unix socket and on a port. */
async function startPlugin(runner: Runner): Promise<Plugin> {
  await runner.start();
  runner.stderr.resume();
  const { path, port } = JSON.parse((await new Said(runner.stdout).until(/.*\n/))[0]);
  const at: Record<string, Address> = {
    unix: { network: "unix", path },
    tcp: { network: "tcp", host: "127.0.0.1", port },
  };
  return {
    runner,
    try: async (way) => {
      const [side, network = ""] = way.split(" ");
      const address = at[network] as Address;
      if (side === "host") return heard(runner, network as Address["network"]);
      const stream = await runner.openStream?.(address);
      stream?.end("echo\nworks");
      return stream ? new Said(stream).all : "nothing";
    },
    [Symbol.asyncDispose]: () => runner.kill(),
  };
}

/** Whether the box takes an address of the host's. */
async function heard(runner: Runner, network: Address["network"]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "gpt"));
  const server = createServer();
  const path = join(directory, "host");
  await new Promise<void>((resolve) =>
    server.listen(network === "unix" ? { path } : { port: 0, host: "127.0.0.1" }, resolve),
  );
  const bound = server.address();
  try {
    const port = bound && typeof bound === "object" ? bound.port : 0;
    await runner.hostToPlugin(network === "unix" ? { network, path } : { network, host: "127.0.0.1", port });
    return "works";
  } finally {
    await new Promise<void>((resolve) => server.close(() => resolve()));
    rmSync(directory, { recursive: true, force: true });
  }
}
