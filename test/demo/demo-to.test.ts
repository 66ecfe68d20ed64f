import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateKey } from "../../src/demo/embedded/keys.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { openUserHome } from "../tools/user-home.ts";
import { expectMessage, expectNothingLeft, STORY, startCli, stepsOf, to } from "./run-demo.ts";

describe.skipIf(!hasTier("openssh"))("go-plugin-ssh demo --to", () => {
  test("runs with the key and the host key that ssh would use", async () => {
    await using server = await startOpenSsh();
    using user = await openUserHome({ dist: built(), server });
    const { code, stdout, stderr } = await startCli(built(), user, [...to(server), "--json"]).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stepsOf({ stdout }).map(({ step }) => step)).toEqual(STORY);
    expectNothingLeft({ stdout });
  });

  test("takes a key with -i, and records a new host with --accept-new", async () => {
    await using server = await startOpenSsh();
    using user = await openUserHome({ dist: built() });
    // A distribution may have names hashed.
    const args = [...to(server), "-i", server.identityFile, "--accept-new", "-o", "HashKnownHosts=no"];
    const { code, stdout, stderr } = await startCli(built(), user, args).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout).toContain("Nothing is left behind on either side.");
    const recorded = readFileSync(join(user.home, ".ssh", "known_hosts"), "utf8");
    expect(recorded.trim()).toBe(readFileSync(server.knownHostsFile, "utf8").trim());
    expectNothingLeft({ stdout });
  });

  test("does not talk to a host that nobody vouches for", async () => {
    await using server = await startOpenSsh();
    using user = await openUserHome({ dist: built(), server, knowsHost: false });
    const ended = await startCli(built(), user, to(server)).ended;
    expect(ended).toMatchObject({ code: 255, stdout: "" });
    expectMessage(ended, /^go-plugin-ssh: \[host-key-unknown\] /);
    expect(ended.stderr).toContain(server.hostKeyFingerprint);
    expect(ended.stderr).toContain("--accept-new");
    expect(existsSync(join(user.home, ".ssh", "known_hosts"))).toBe(false);
  });

  test("tells which keys were refused", async () => {
    await using server = await startOpenSsh();
    using user = await openUserHome({ dist: built(), server });
    const wrong = generateKey("ed25519");
    const file = join(user.directory, "wrong");
    writeFileSync(file, wrong.privateKey, { mode: 0o600 });
    const ended = await startCli(built(), user, [...to(server), "-i", file]).ended;
    expect(ended).toMatchObject({ code: 77, stdout: "" });
    expectMessage(ended, /^go-plugin-ssh: \[auth-failed\] /);
    expect(ended.stderr).toContain(`${file}: ssh-ed25519 ${wrong.fingerprint}`);
    expect(ended.stderr).toContain("-i <file>");
  });

  test("says that there is no Node where it was said to be", async () => {
    await using server = await startOpenSsh();
    using user = await openUserHome({ dist: built(), server });
    const ended = await startCli(built(), user, [...to(server), "--node", "/nonexistent"]).ended;
    expect(ended.code).toBe(1);
    expectMessage(ended, /^go-plugin-ssh: \[plugin-not-started\] "\/nonexistent" was not started/);
    expect(ended.stdout).not.toContain("Done");
    expectNothingLeft(ended);
  });

  test("says that the connection was lost", async () => {
    await using server = await startOpenSsh();
    using user = await openUserHome({ dist: built(), server });
    const sleeper = join(user.directory, "sleeper");
    writeFileSync(sleeper, "#!/bin/sh\nsleep 60\n", { mode: 0o755 });
    const run = startCli(built(), user, [...to(server), "--node", sleeper]);
    await run.said("Started the plugin on the box");
    server.killSessions("SIGKILL");
    const ended = await run.ended;
    expect(ended.code).toBe(255);
    expectMessage(ended, /^go-plugin-ssh: \[connection-lost\] /);
  });
});
