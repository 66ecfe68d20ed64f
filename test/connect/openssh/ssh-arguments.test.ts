import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { resolveSettings } from "../../../src/connect/config/resolve-settings.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import { sshArguments } from "../../../src/connect/openssh/ssh-arguments.ts";
import { findSystemSsh } from "../../../src/connect/openssh/system-ssh.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { sshSays } from "../config/ssh-says.ts";
import { Scratch } from "../scratch.ts";

const OLD = { version: "OpenSSH_8.0p1", number: 8.0 };
const NEW = { version: "OpenSSH_9.2p1", number: 9.2 };

async function argumentsFor(options: ConnectOptions, ssh = NEW): Promise<string[]> {
  const settings = await resolveSettings("ann@box.example", { configFile: "none", backend: "openssh", ...options });
  return sshArguments(settings, ssh);
}

/** What the installed `ssh` would do. */
async function would(scratch: Scratch, config: string, options: ConnectOptions = {}): Promise<Map<string, string[]>> {
  const configFile = await scratch.put("config", `Host *\n${config}\n`);
  const settings = await resolveSettings("ann@box.example", { configFile, backend: "openssh", ...options });
  return sshSays(sshArguments(settings, await findSystemSsh())) ?? new Map();
}

describe("what the system's ssh is told", () => {
  test("by an old ssh no server asks anything, because its questions could pass for ssh's own", async () => {
    const callbacks = { keyboardInteractive: () => [], passphrase: () => "secret" };
    expect(await argumentsFor(callbacks, OLD)).toEqual(
      expect.arrayContaining(["KbdInteractiveAuthentication=no", "ChallengeResponseAuthentication=no"]),
    );
    expect(await argumentsFor(callbacks, NEW)).toEqual(
      expect.arrayContaining(["KbdInteractiveAuthentication=yes", "ChallengeResponseAuthentication=yes"]),
    );
  });

  test("signature algorithms have the name that an old ssh knows", async () => {
    const options = { pubkeyAcceptedAlgorithms: "ssh-ed25519" };
    expect(await argumentsFor(options, OLD)).toContain("PubkeyAcceptedKeyTypes=ssh-ed25519");
    expect(await argumentsFor(options, NEW)).toContain("PubkeyAcceptedAlgorithms=ssh-ed25519");
  });

  test("a home directory in configFile is ours", async () => {
    const settings = await resolveSettings("ann@box.example", { configFile: "none" });
    const args = sshArguments({ ...settings, options: { configFile: "~/c" } }, NEW);
    expect(args.slice(0, 2)).toEqual(["-F", join(homedir(), "c")]);
  });

  test.each([
    [{}, "StrictHostKeyChecking=accept-new"],
    [{ userKnownHostsFile: [] }, "StrictHostKeyChecking=yes"],
  ])("no key is trusted for the first time where it cannot be recorded: %j", async (files, says) => {
    expect(await argumentsFor({ strictHostKeyChecking: "accept-new", ...files })).toContain(says);
  });

  test.each([
    [undefined, "-*-cert-v01@openssh.com"],
    ["ssh-ed25519,ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"],
    ["^rsa-sha2-256,ssh-rsa-cert-v01@openssh.com", /^rsa-sha2-256,ssh-ed25519,((?!-cert-).)*$/],
  ])("with pins no certificate is asked for, with hostKeyAlgorithms %s", async (hostKeyAlgorithms, asked) => {
    const hostKeyFingerprints = [`SHA256:${"A".repeat(43)}`];
    const args = await argumentsFor({ hostKeyFingerprints, ...(hostKeyAlgorithms && { hostKeyAlgorithms }) });
    const [first, ...more] = args.filter((arg) => arg.startsWith("HostKeyAlgorithms="));
    expect(first?.slice("HostKeyAlgorithms=".length)).toEqual(
      typeof asked === "string" ? asked : expect.stringMatching(asked),
    );
    // What comes first counts.
    expect(more.length).toBeLessThanOrEqual(1);
  });
});

describe.skipIf(!hasTier("openssh"))("what the system's ssh makes of it", () => {
  test("neither the DNS nor a deadline of the configuration decides", async () => {
    await using scratch = await Scratch.make();
    const said = await would(scratch, "VerifyHostKeyDNS yes\nConnectTimeout 5", { connectTimeoutMs: 60_000 });
    expect(said.get("verifyhostkeydns")).toEqual(["false"]);
    expect(["0", "none"]).toContain(said.get("connecttimeout")?.[0]);
  });

  test("the key files of the configuration are tried once", async () => {
    await using scratch = await Scratch.make();
    const said = await would(scratch, "IdentityFile ~/.ssh/k\nIdentityFile /keys/%h");
    expect(said.get("identityfile")).toHaveLength(2);
    const more = await would(scratch, "IdentityFile ~/.ssh/k", { identityFile: "/keys/own" });
    expect(more.get("identityfile")).toEqual(["/keys/own", "~/.ssh/k"]);
  });

  test.each<ConnectOptions>([
    { proxyJump: "none" },
    { proxyCommand: "none" },
    { proxyJump: "none", proxyCommand: "x" },
  ])("%j goes before what the configuration goes through", async (options) => {
    await using scratch = await Scratch.make();
    for (const config of ["ProxyCommand false", "ProxyJump bastion"]) {
      const said = await would(scratch, config, options);
      expect([said.get("proxycommand")?.[0] ?? "none", said.get("proxyjump")]).toEqual([
        options.proxyCommand === "x" ? "x" : "none",
        undefined,
      ]);
    }
  });

  test("what stands in for a way passes no descriptor, although the configuration's command would", async () => {
    await using scratch = await Scratch.make();
    const configFile = await scratch.put("config", "Host *\n  ProxyUseFdpass yes\n  ProxyJump bastion\n");
    const settings = await resolveSettings("ann@box.example", { configFile, backend: "openssh" });
    const said = sshSays(sshArguments(settings, await findSystemSsh(), "bridge"));
    expect([said?.get("proxycommand"), said?.get("proxyusefdpass")]).toEqual([["bridge"], ["no"]]);
  });

  test("a percent sign in a path is one, with tokens and without", async () => {
    await using scratch = await Scratch.make();
    const said = await would(scratch, "", { globalKnownHostsFile: "/a%b", identityFile: "/k%k" });
    expect(said.get("globalknownhostsfile")).toEqual(["/a%b"]);
    expect(said.get("identityfile")).toEqual(["/k%%k"]);
  });
});
