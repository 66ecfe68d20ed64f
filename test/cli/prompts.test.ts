import { execFile } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Scratch } from "../connect/scratch.ts";
import { expectMessage, to } from "../demo/run-demo.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { type OnTerminal, startOnTerminal } from "../tools/on-terminal.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";

const PASSWORD = "plugh-hunter2";
const PASSPHRASE = "sesame-open-xyzzy";
const CONFIRM = "Connect (yes/no/[fingerprint])? ";

/** Starts the executable on a terminal, as somebody with that home does. */
function demo(user: UserHome, server: TestServer, ...more: string[]): OnTerminal {
  const command = [process.execPath, join(built(), "go-plugin-ssh.js"), ...to(server), "-F", "none", "--json", ...more];
  return startOnTerminal(command, user.env);
}

const AS_BEFORE = { echo: true, lines: true };

describe.skipIf(!hasTier("accounts") || !has("python3"))("on the terminal", () => {
  test.each([
    ["yes", () => "yes\r"],
    ["the fingerprint", ({ hostKeyFingerprint }: TestServer) => `what?\r${hostKeyFingerprint}\r`],
  ])("a new host key is shown and confirmed by %s", async (_what, answer) => {
    await using box = await Scratch.make();
    await using server = await startOpenSsh({ account: { home: box.directory } });
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const run = demo(user, server);
    await run.shows(`  ssh-ed25519 ${server.hostKeyFingerprint}\r\n`);
    await run.shows(CONFIRM);
    for (const line of answer(server).split(/(?<=\r)/)) {
      run.type(line);
      if (line.startsWith("what")) await run.shows("Please type yes, no, or the fingerprint: ");
    }
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 0, stderr: "", ...AS_BEFORE });
    expect(ended.stdout).toContain('"step":"kill"');
    const recorded = readFileSync(join(user.home, ".ssh", "known_hosts"), "utf8");
    expect(recorded.trim()).toBe(readFileSync(server.knownHostsFile, "utf8").trim());
  });

  test.each([
    ["no", "no\r"],
    ["nothing", "\r"],
    ["the end of input", "\u0004"],
  ])("a new host key is refused by %s", async (_what, keys) => {
    await using box = await Scratch.make();
    await using server = await startOpenSsh({ account: { home: box.directory } });
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const run = demo(user, server);
    await run.shows(CONFIRM);
    run.type(keys);
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 255, stdout: "", ...AS_BEFORE });
    expectMessage(ended, /^go-plugin-ssh: \[host-key-unknown\] .* was not confirmed/);
    expect(existsSync(join(user.home, ".ssh", "known_hosts"))).toBe(false);
  });

  test("a passphrase is asked for without echo, and again if it is wrong", async () => {
    await using box = await Scratch.make();
    await using server = await startOpenSsh({ account: { home: box.directory } });
    using user = await openUserHome({ dist: built(), server });
    const file = join(user.home, ".ssh", "id_ed25519");
    await promisify(execFile)("ssh-keygen", ["-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", file]);
    const run = demo(user, server);
    await run.shows(`Enter passphrase for key '${file}': `);
    run.type("wrong-one\r");
    await run.shows(`Enter passphrase for key '${file}': `);
    run.type(`${PASSPHRASE}\r`);
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 0, stderr: "", ...AS_BEFORE });
    for (const secret of [PASSPHRASE, "wrong-one"]) {
      expect(ended.shown + ended.stdout + ended.stderr).not.toContain(secret);
    }
  });

  test("a password is asked for, and may be mended while it is typed", async () => {
    await using box = await Scratch.make();
    await using server = await startOpenSsh({
      options: ["PasswordAuthentication yes", "PermitRootLogin yes"],
      account: { home: box.directory, password: PASSWORD },
    });
    using user = await openUserHome({ dist: built(), server });
    writeFileSync(join(user.home, ".ssh", "id_ed25519"), "", { mode: 0o600 });
    const run = demo(user, server);
    await run.shows(`${server.user}@${server.host}'s password: `);
    run.type(`something else\u0015${PASSWORD}ü\u007f\r`);
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 0, stderr: "", ...AS_BEFORE });
    expect(ended.shown + ended.stdout).not.toContain(PASSWORD);
  });

  test("what a server asks is asked one by one, and made harmless", async () => {
    const prompts = ["Password\u001b[2J: ", "Code: "];
    await using server = await startEmbedded({
      authorizedKeys: [],
      keyboardInteractive: { prompts, answers: [PASSWORD, "424242"] },
    });
    using user = await openUserHome({ dist: built(), server });
    const run = demo(user, server);
    await run.shows(`(${server.user}@${server.host}) Password\\x1b[2J: `);
    run.type(`${PASSWORD}\r`);
    await run.shows("Code: ");
    run.type("424242\r");
    const ended = await run.ended;
    expect(ended).toMatchObject({ code: 0, stderr: "", ...AS_BEFORE });
    expect(ended.shown).not.toContain("\u001b");
    for (const secret of [PASSWORD, "424242"]) expect(ended.shown).not.toContain(secret);
  });

  test.each<[what: string, end: (run: OnTerminal) => void, code: number]>([
    ["Control-C", (run) => run.type("half\u0003"), 130],
    ["SIGTERM", (run) => run.kill("SIGTERM"), 130],
    ["SIGHUP", (run) => run.kill("SIGHUP"), 130],
  ])("%s ends it, and the terminal is as before", async (_what, end, code) => {
    await using box = await Scratch.make();
    await using server = await startOpenSsh({ account: { home: box.directory } });
    using user = await openUserHome({ dist: built(), server });
    const file = join(user.home, ".ssh", "id_ed25519");
    await promisify(execFile)("ssh-keygen", ["-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", file]);
    const run = demo(user, server);
    await run.shows("Enter passphrase");
    end(run);
    const ended = await run.ended;
    expect(ended).toMatchObject({ code, ...AS_BEFORE });
    expect(ended.stderr).toMatch(/\[aborted\] Interrupted by SIG/);
    expect(ended.shown).not.toContain("half");
  });
});
