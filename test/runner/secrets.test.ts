import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { SshRunner } from "../../src/runner/ssh-runner.ts";
import { startLocked } from "../connect/locked-key.ts";
import { Scratch } from "../connect/scratch.ts";
import { connectTo } from "../contract/runner-kinds.ts";
import { watchProcesses } from "../exec/watch-processes.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gpsec"));
  chmodSync(directory, 0o755);
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A word that is nowhere else. */
function word(): string {
  return `w${randomBytes(12).toString("hex")}`;
}

/** A plugin that says that it runs and stays, as a file of its own. */
function plugin(): string {
  const path = join(directory, "plugin.sh");
  writeFileSync(path, "#!/bin/sh\necho up\nexec sleep 300\n", { mode: 0o755 });
  return path;
}

describe.skipIf(!hasTier("openssh"))("over sshd at DEBUG3", () => {
  test("a variable shows in no argv and no log, an argument in the plugin's argv alone", async () => {
    const [variable, argument] = [word(), word()];
    await using server = await startOpenSsh({ logLevel: "DEBUG3" });
    const watch = await watchProcesses([variable, argument]);
    const runner = new SshRunner({
      ...connectTo(server),
      // The program stays what it was started as, so its argv can be looked at for a while; a child would look like it.
      command: ["/bin/sh", "-c", "echo up; while :; do :; done", "plugin", argument],
      environment: { SECRET: variable },
    });
    await runner.start();
    await once(runner.stdout, "data");
    runner.stdout.resume();
    runner.stderr.resume();
    const before = watch.rounds();
    while (watch.rounds() < before + 2) await new Promise(setImmediate);
    const pid = Number(runner.id.split("#")[1]);
    await runner.kill();

    const seen = await watch.stop();
    expect(seen.filter(({ text, where }) => text === variable && where === "cmdline")).toEqual([]);
    expect(
      new Set(seen.filter(({ text, where }) => text === argument && where === "cmdline").map((one) => one.pid)),
    ).toEqual(new Set([pid]));
    // The plugin has it in its environment, which is what it is for; the supervisor has not.
    const carriers = seen.filter(({ text, where }) => text === variable && where === "environ");
    expect(carriers.map((one) => one.pid)).toContain(pid);
    expect(carriers.filter(({ command }) => command.includes("gps_"))).toEqual([]);
    const log = await server.log();
    expect(log).toContain("debug3");
    expect(log).not.toContain(variable);
    expect(log).not.toContain(argument);
  });
});

/** Runs the host with every debug namespace on, and returns all that it printed. */
async function host(orders: object): Promise<string> {
  const script = fileURLToPath(new URL("../fixtures/host-with-secrets.mjs", import.meta.url));
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, DEBUG: "*", NODE_DEBUG: "net,tls" },
    stdio: "pipe",
  });
  let printed = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (printed += chunk));
  child.stdin.end(JSON.stringify({ library: pathToFileURL(join(built(), "index.js")).href, ...orders }));
  await once(child, "close");
  return printed;
}

describe("with DEBUG=* and everything printed", () => {
  test("variables, the passphrase and the key stay out of what a host prints", async () => {
    await using scratch = await Scratch.make();
    const [variable, passphrase] = [word(), word()];
    const locked = await startLocked("embedded", scratch, passphrase);
    await using server = locked.server;
    const printed = await host({
      ...connectTo(server),
      identityFile: locked.identityFile,
      passphrase,
      command: [plugin()],
      environment: { SECRET: variable },
    });
    expect(printed).toContain("started");
    expect(printed).toContain("go-plugin-ssh:exec");
    for (const secret of [variable, passphrase]) expect(printed).not.toContain(secret);
    expect(printed).not.toContain("PRIVATE KEY");
  });

  test("a wrong password stays out of the failure", async () => {
    const [variable, password] = [word(), word()];
    await using server = await startEmbedded({ passwords: { somebody: "right" } });
    const printed = await host({
      destination: { host: server.host, port: server.port, user: "somebody" },
      configFile: "none",
      hostKeyFingerprints: [server.hostKeyFingerprint],
      identityFile: [],
      identityAgent: "none",
      password,
      command: [plugin()],
      environment: { SECRET: variable },
    });
    expect(printed).toContain("auth-failed");
    for (const secret of [variable, password, "right"]) expect(printed).not.toContain(`${secret}`);
  });
});

describe("however a start fails", () => {
  const ways: [name: string, options: object, code: string][] = [
    ["no such command", { command: ["/nonexistent/plugin"] }, "plugin-not-started"],
    ["no such directory", { directory: "/nonexistent" }, "plugin-not-started"],
    [
      "nowhere for the private directory",
      { directoryBase: "/nonexistent", environment: { TMPDIR: "/nonexistent" } },
      "",
    ],
    ["a key that is not let in", { identityFile: "/nonexistent" }, "auth-failed"],
    ["another host key", { hostKeyFingerprints: [`SHA256:${"A".repeat(43)}`] }, "host-key-changed"],
    ["nobody listens", { destination: "ssh://somebody@127.0.0.1:1" }, "connect-failed"],
    ["a deadline", { startTimeoutMs: 1 }, ""],
    ["a bad name beside it", { environment: { "NOT A NAME": "x" } }, "bad-options"],
    ["a bad value beside it", { environment: { BAD: "nul\0" } }, "bad-options"],
  ];

  test.each(ways)("no value of the environment is in the error: %s", async (_, options, code) => {
    const secret = word();
    await using server = await startEmbedded();
    const settings = { ...connectTo(server), command: [plugin()], environment: {}, ...options };
    let failure: unknown;
    try {
      await using runner = new SshRunner({
        ...settings,
        environment: { SECRET: secret, ...settings.environment },
      } as unknown as ConstructorParameters<typeof SshRunner>[0]);
      await runner.start();
    } catch (thrown) {
      failure = thrown;
    }
    if (code !== "") expect(failure).toMatchObject({ code });
    const shown = `${inspect(failure, { depth: 10, showHidden: true })}${(failure as Error)?.stack}${JSON.stringify(failure)}`;
    expect(shown).not.toContain(secret);
  });
});
