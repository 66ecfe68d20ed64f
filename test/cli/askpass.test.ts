import { execFile, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { askpassProgram } from "../../src/cli/askpass.ts";
import { Scratch } from "../connect/scratch.ts";
import { expectMessage, startCli, to } from "../demo/run-demo.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { has, hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { eventually, isAlive } from "../tools/leaks.ts";
import { startOnTerminal } from "../tools/on-terminal.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";

const PASSPHRASE = "sesame-open-xyzzy";
const MINE = { SSH_ASKPASS: "/mine" };
const SHOWN = { ...MINE, DISPLAY: ":0" };

test.each<
  [what: string, environment: Record<string, string>, onTerminal: string | undefined, without: string | undefined]
>([
  ["no display", MINE, undefined, undefined],
  ["an empty display", { ...MINE, DISPLAY: "" }, undefined, undefined],
  ["a display", SHOWN, undefined, "/mine"],
  ["Wayland", { ...MINE, WAYLAND_DISPLAY: "wayland-0" }, undefined, "/mine"],
  ["never", { ...SHOWN, SSH_ASKPASS_REQUIRE: "never" }, undefined, undefined],
  ["prefer", { ...SHOWN, SSH_ASKPASS_REQUIRE: "prefer" }, "/mine", "/mine"],
  ["prefer, without a display", { ...MINE, SSH_ASKPASS_REQUIRE: "prefer" }, undefined, undefined],
  ["force, in capitals, without a display", { ...MINE, SSH_ASKPASS_REQUIRE: "FORCE" }, "/mine", "/mine"],
  ["a word that means nothing", { ...SHOWN, SSH_ASKPASS_REQUIRE: "perhaps" }, undefined, "/mine"],
])("askpass with %s", (_what, environment, onTerminal, without) => {
  expect(askpassProgram(environment, true)).toBe(onTerminal);
  expect(askpassProgram(environment, false)).toBe(without);
});

/** A program that notes what it was asked, and answers. */
function askpass(user: UserHome, answer: string): { env: Record<string, string>; asked(): string } {
  const [program, log] = [join(user.directory, "askpass"), join(user.directory, "asked")];
  const script = `#!/bin/sh\nprintf '%s|hint=%s\\n' "$1" "$SSH_ASKPASS_PROMPT" >>'${log}'\n${answer}\n`;
  writeFileSync(program, script, { mode: 0o755 });
  return {
    env: { SSH_ASKPASS: program, DISPLAY: ":9" },
    asked: () => (existsSync(log) ? readFileSync(log, "utf8") : ""),
  };
}

/** The account's key under a passphrase. */
async function lock(user: UserHome): Promise<string> {
  const file = join(user.home, ".ssh", "id_ed25519");
  await promisify(execFile)("ssh-keygen", ["-q", "-p", "-P", "", "-N", PASSPHRASE, "-f", file]);
  return file;
}

/** Somebody whose programs see more variables. */
function withEnv(user: UserHome, env: Record<string, string>): UserHome {
  return { ...user, env: { ...user.env, ...env } };
}

describe.skipIf(!hasTier("accounts"))("without a terminal", () => {
  test("askpass is asked, as ssh asks it, for a new host key and a passphrase", async () => {
    await using box = await Scratch.make();
    await using server = await startOpenSsh({ account: { home: box.directory } });
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const file = await lock(user);
    const { env, asked } = askpass(
      user,
      `case "$1" in *yes/no*) echo yes ;; *) printf '${PASSPHRASE}\\nmore\\n' ;; esac`,
    );
    const ended = await startCli(built(), withEnv(user, { ...env, SSH_ASKPASS_PROMPT: "confirm" }), to(server)).ended;
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(asked()).toMatch(/ssh-ed25519 SHA256:[^|]*Connect \(yes\/no\/\[fingerprint\]\)\? \|hint=\n/);
    expect(asked()).toContain(server.hostKeyFingerprint);
    expect(asked()).toContain(`Enter passphrase for key '${file}': |hint=\n`);
    const known = spawnSync("ssh-keygen", [
      "-F",
      `[${server.host}]:${server.port}`,
      "-f",
      join(user.home, ".ssh/known_hosts"),
    ]);
    expect(known.status).toBe(0);
  });

  test.each([
    ["fails", "echo yes; exit 1"],
    ["says nothing", ":"],
  ])("a program that %s means no", async (_what, answer) => {
    await using server = await startEmbedded();
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const ended = await startCli(built(), withEnv(user, askpass(user, answer).env), to(server)).ended;
    expect(ended).toMatchObject({ code: 255, stdout: "" });
    expectMessage(ended, /\[host-key-unknown\] .* was not confirmed/);
  });

  test("a program that cannot be run is named", async () => {
    await using server = await startEmbedded();
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const env = { SSH_ASKPASS: "/nonexistent/askpass", DISPLAY: ":9" };
    const ended = await startCli(built(), withEnv(user, env), to(server)).ended;
    expect(ended).toMatchObject({ code: 255, stdout: "" });
    expect(ended.stderr).toContain("go-plugin-ssh: SSH_ASKPASS cannot be used: spawn /nonexistent/askpass ENOENT\n");
  });

  test("nobody is asked without a display, or with `never`", async () => {
    await using server = await startEmbedded();
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const { env, asked } = askpass(user, "echo yes");
    for (const more of [{ DISPLAY: "" }, { SSH_ASKPASS_REQUIRE: "never" }]) {
      const ended = await startCli(built(), withEnv(user, { ...env, ...more }), to(server)).ended;
      expectMessage(ended, /\[host-key-unknown\] .* no file vouches for/);
    }
    expect(asked()).toBe("");
  });

  test("an interrupt ends the program too", async () => {
    await using server = await startEmbedded();
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const pidFile = join(user.directory, "pid");
    const { env } = askpass(user, `echo $$ >'${pidFile}'; exec sleep 600`);
    const run = startCli(built(), withEnv(user, env), to(server));
    const written = () => existsSync(pidFile) && (Number(readFileSync(pidFile, "utf8")) || undefined);
    const pid = await eventually(written, { what: "askpass" });
    run.child.kill("SIGINT");
    expect((await run.ended).code).toBe(130);
    await eventually(() => !isAlive(pid), { what: "askpass to end" });
  });
});

test.skipIf(!has("python3"))("with a terminal, askpass is asked where it is preferred", async () => {
  await using server = await startEmbedded();
  using user = await openUserHome({ dist: built(), server, knowsHost: false });
  const { env, asked } = askpass(user, "echo yes");
  const command = [process.execPath, join(built(), "go-plugin-ssh.js"), ...to(server), "--json"];
  const ended = await startOnTerminal(command, { ...user.env, ...env, SSH_ASKPASS_REQUIRE: "prefer" }).ended;
  expect(ended).toMatchObject({ code: 0, stderr: "", shown: "" });
  expect(asked()).toContain("Connect (yes/no");
});
