import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { expectMessage, startCli } from "../demo/run-demo.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import type { Ended } from "../tools/run-node.ts";
import { openUserHome } from "../tools/user-home.ts";

/** Runs `go-plugin-ssh config` as somebody with that `~/.ssh/config`, which `CONFIG` among the words stands for. */
async function config(text: string, args: readonly string[], more: Record<string, string> = {}): Promise<Ended> {
  using user = await openUserHome({ dist: built() });
  const file = join(user.home, ".ssh", "config");
  writeFileSync(file, text);
  const words = args.map((word) => (word === "CONFIG" ? file : word));
  return await startCli(built(), { ...user, env: { ...user.env, ...more } }, ["config", ...words]).ended;
}

/** The lines of the table, as far as they are about `keyword`. */
function rowsOf({ stdout }: Ended, keyword: string): string[] {
  const rows = stdout.split("\n").filter((line) => line.startsWith(`${keyword} `));
  return rows.map((row) => row.replace(/ {2,}/g, " | "));
}

const CONFIG = `
Host web
  HostName web.example.com
  User deploy
  IdentityFile ~/.ssh/a
  IdentityFile ~/.ssh/b
  ForwardAgent yes
  StrictHostKeyChecking off
  SendEnv LANG
`;

describe.skipIf(!hasTier("openssh"))("go-plugin-ssh config", () => {
  test("tells each setting and who decided about it", async () => {
    const ended = await config(CONFIG, ["-C", "-o", "ConnectTimeout=5", "ssh://web:2222"]);
    expect(ended).toMatchObject({ code: 0, stderr: "" });
    expect(rowsOf(ended, "hostname")).toEqual(["hostname | OpenSSH configuration | web.example.com"]);
    expect(rowsOf(ended, "user")).toEqual(["user | OpenSSH configuration | deploy"]);
    expect(rowsOf(ended, "port")).toEqual(["port | URL | 2222"]);
    expect(rowsOf(ended, "compression")).toEqual(["compression | option | yes"]);
    expect(rowsOf(ended, "connecttimeout")).toEqual(["connecttimeout | option | 5"]);
    expect(rowsOf(ended, "serveraliveinterval")).toEqual(["serveraliveinterval | default | 15"]);
    expect(rowsOf(ended, "identityfile")).toHaveLength(2);
    expect(rowsOf(ended, "stricthostkeychecking")).toEqual([
      "stricthostkeychecking | OpenSSH configuration | accept-new",
    ]);
  });

  test("says below what is not done, what is of no use, and what speaks SSH", async () => {
    const { stdout } = await config(CONFIG, ["web"]);
    const [, below = ""] = stdout.split(/\n\n(backend [\s\S]*)/);
    expect(below).toMatch(/^backend ssh2: nothing asks for more\n/);
    expect(below).toMatch(/Not done as it says:\n(?: {2}.*\n)* {2}ForwardAgent in the .* of web is not done: no agent/);
    expect(below).toMatch(/StrictHostKeyChecking no in .* is taken as accept-new/);
    expect(below).toMatch(/of no use to a plugin:\n(?: {2}.*\n)* {2}sendenv LANG .*`forwardEnvironment`/);
  });

  test("names what only the system's ssh can do", async () => {
    const needing = "PKCS11Provider /lib/token.so\n";
    expect((await config(needing, ["box"])).stdout).toMatch(/^backend openssh: because of PKCS11Provider$/m);
    expect((await config(needing, ["--backend", "ssh2", "box"])).stdout).toMatch(
      /^backend ssh2: chosen on the command line; it goes without PKCS11Provider$/m,
    );
  });

  test("--json has OpenSSH's keywords as keys", async () => {
    const { code, stdout } = await config(CONFIG, ["--json", "-p", "2200", "web"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      hostname: { value: "web.example.com", source: "OpenSSH configuration" },
      port: { value: "2200", source: "option" },
      batchmode: { value: "no", source: "default" },
      identityfile: {
        value: [expect.stringMatching(/\.ssh\/a$/), expect.stringMatching(/\.ssh\/b$/)],
        source: "OpenSSH configuration",
      },
      forwardagent: { value: "yes", source: "OpenSSH configuration", honoured: false, note: expect.any(String) },
      backend: { value: "ssh2", needed: [] },
      notices: [expect.stringContaining("StrictHostKeyChecking no in"), expect.stringContaining("ForwardAgent")],
    });
  });

  test("fails as connecting would, with 78 for a configuration", async () => {
    const broken = await config("Prot 22\n", ["box"]);
    expect(broken).toMatchObject({ code: 78, stdout: "" });
    expectMessage(broken, /config: line 1: Bad configuration option: prot/);
    const refused = await config("", ["-p", "ssh", "box"]);
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expectMessage(refused, /\[bad-options\] -p must be a port/);
    expect((await config("", [])).code).toBe(2);
  });

  test("reads a configuration without ssh too, and refuses by name what it does not know", async () => {
    const without = { PATH: "/nonexistent" };
    const ended = await config("Host web\n  Port 2222\n", ["-F", "CONFIG", "web"], without);
    expect(rowsOf(ended, "port")).toEqual(["port | OpenSSH configuration | 2222"]);
    const refused = await config(CONFIG, ["-F", "CONFIG", "web"], without);
    expect(refused.code).toBe(78);
    expectMessage(refused, /\.ssh\/config line 7: "ForwardAgent" cannot be read without OpenSSH's `ssh`/);
  });
});

test("go-plugin-ssh config --help fits a terminal and has examples", async () => {
  const { code, stdout } = await config("", ["--help"]);
  expect(code).toBe(0);
  expect(stdout).toContain("$ go-plugin-ssh config");
  expect(stdout.split("\n").filter((line) => line.length > 80)).toEqual([]);
});
