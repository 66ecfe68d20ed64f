import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, readFile, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { connect } from "../../../src/connect/connect.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import type { PluginError } from "../../../src/contract/errors.ts";
import { generateKey } from "../../../src/demo/embedded/keys.ts";
import { OWN_PREFIX } from "../../../src/lifetime/owner-mark.ts";
import { startEmbedded } from "../../servers/embedded.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import { freePort } from "../../servers/spawn-server.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { rejectionOf } from "../failure-of.ts";
import { hearing, withFakeTimeouts } from "../fake-timeouts.ts";
import { destinationOf, login, loginWithKey } from "../login.ts";
import { RawServer } from "../raw-server.ts";
import { Scratch } from "../scratch.ts";

const BY_SSH: ConnectOptions = { backend: "openssh", configFile: "none", identityAgent: "none", identityFile: [] };

const CONNECT_TIMEOUT_MS = 20_000;

/** Fails to connect to a port of this machine, and leaves nothing. */
async function failureAt(port: number, more: ConnectOptions = {}, signal?: AbortSignal): Promise<PluginError> {
  const failure = await rejectionOf(connect({ host: "127.0.0.1", port, user: "ann" }, { ...BY_SSH, ...more }, signal));
  const left = () => readdirSync(tmpdir()).filter((name) => name.startsWith(OWN_PREFIX));
  await eventually(() => left().length === 0, { what: "nothing to be left", state: left });
  return failure;
}

/** How connecting fails whose time is over when `moment` has come. */
async function failureAfter(moment: () => Promise<unknown>, connecting: () => Promise<PluginError>) {
  let failing: Promise<PluginError> | undefined;
  await withFakeTimeouts(async (pass) => {
    failing = connecting();
    failing.catch(() => {});
    await moment();
    pass(CONNECT_TIMEOUT_MS);
  });
  return failing as Promise<PluginError>;
}

describe.skipIf(!hasTier("openssh"))("the system's ssh fails", () => {
  test("where nothing listens", async () => {
    const failure = await failureAt(await freePort());
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toMatch(/ann@127\.0\.0\.1:\d+ cannot be reached: .*Connection refused/);
    expect(failure.hint).toMatch(/Nothing listens there/);
  });

  test("for a name that does not exist", async () => {
    const failure = await rejectionOf(connect("ann@no-such-box.invalid", BY_SSH));
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toMatch(/no-such-box\.invalid/);
    expect(failure.hint).toMatch(/name/);
  });

  test("where it is dropped before the banner", async () => {
    await using server = await RawServer.start((client) => client.end());
    const failure = await failureAt(server.port);
    expect(failure.code).toBe("box-refused");
    expect(failure.hint).toMatch(/MaxStartups.*PerSourcePenalties/);
  });

  test("where it is dropped with a word about it", async () => {
    await using server = await RawServer.start((client) => client.end("Exceeded MaxStartups\r\n"));
    const failure = await failureAt(server.port);
    expect(failure.code).toBe("box-refused");
    expect(failure.message).toContain("Exceeded MaxStartups");
  });

  test("where nobody says anything, after connectTimeoutMs", async () => {
    await using server = await RawServer.start(() => {});
    const connecting = () => failureAt(server.port, { connectTimeoutMs: CONNECT_TIMEOUT_MS });
    const failure = await hearing("Connection established", (heard) => failureAfter(() => heard, connecting));
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain(`did not get past banner within ${CONNECT_TIMEOUT_MS} ms`);
  });

  test("when it is given up", async () => {
    await using server = await RawServer.start(() => {});
    const controller = new AbortController();
    const failing = failureAt(server.port, {}, controller.signal);
    setTimeout(() => controller.abort(), 50);
    expect((await failing).code).toBe("aborted");
  });

  test("for a host key that nothing vouches for, and says which", async () => {
    await using server = await startOpenSsh();
    const failure = await rejectionOf(
      loginWithKey(server, { ...BY_SSH, userKnownHostsFile: [], identityFile: server.identityFile }),
    );
    expect(failure.code).toBe("host-key-unknown");
    expect(failure.message).toContain(server.hostKeyFingerprint);
  });

  test.each([
    ["host-key-changed", ""],
    ["host-key-revoked", "@revoked "],
  ])("for a host key that is on record as %s", async (code, marker) => {
    await using scratch = await Scratch.make();
    await using server = await startOpenSsh();
    const own = (await readFile(server.knownHostsFile, "utf8")).trim();
    const other = `${own.split(" ")[0]} ${generateKey("ed25519").publicKey}`;
    const file = await scratch.put("known_hosts", `${marker === "" ? other : marker + own}\n`);
    for (const strictHostKeyChecking of ["yes", "accept-new"] as const) {
      const failure = await rejectionOf(login(server, { ...BY_SSH, userKnownHostsFile: file, strictHostKeyChecking }));
      expect(failure.code).toBe(code);
    }
  });

  test("for another key than the pinned one, although a file vouches for it", async () => {
    await using server = await startOpenSsh();
    const { fingerprint } = generateKey("ed25519");
    const failure = await rejectionOf(login(server, { ...BY_SSH, hostKeyFingerprints: [fingerprint] }));
    expect(failure.code).toBe("host-key-changed");
    expect(failure.message).toContain(server.hostKeyFingerprint);
    expect(failure.message).toContain(fingerprint);
  });

  test("for a pinned key that is revoked; other pins hold", async () => {
    await using scratch = await Scratch.make();
    await using server = await startOpenSsh();
    const own = (await readFile(server.knownHostsFile, "utf8")).trim();
    const file = await scratch.put("known_hosts", `@revoked ${own}\n`);
    const { fingerprint } = generateKey("ed25519");
    const options = { ...BY_SSH, userKnownHostsFile: file, identityFile: server.identityFile };
    const revoked = { ...options, hostKeyFingerprints: [server.hostKeyFingerprint] };
    const failure = await rejectionOf(login(server, revoked));
    expect(failure.code).toBe("host-key-revoked");
    expect(failure.message).toContain(`${file}:1`);
    const another = { ...options, hostKeyFingerprints: [server.hostKeyFingerprint, fingerprint] };
    expect((await rejectionOf(login(server, another))).code).toBe("host-key-changed");
    const [name] = own.split(" ");
    const other = await scratch.put("other", `@revoked ${name} ${generateKey("ed25519").publicKey}\n`);
    await (await login(server, { ...revoked, userKnownHostsFile: other })).close();
  });

  test("not for a pinned key that has a certificate", async () => {
    await using scratch = await Scratch.make();
    const [key, authority] = [generateKey("ed25519"), generateKey("ed25519")];
    const hostKey = await scratch.put("key", key.privateKey);
    await scratch.put("key.pub", `${key.publicKey}\n`);
    const ca = await scratch.put("ca", authority.privateKey);
    execFileSync("ssh-keygen", ["-q", "-s", ca, "-h", "-I", "box", `${hostKey}.pub`], { stdio: "ignore" });
    await using server = await startOpenSsh({
      options: [`HostKey ${hostKey}`, `HostCertificate ${hostKey}-cert.pub`],
    });
    const hostKeyFingerprints = [key.fingerprint];
    const options = { ...BY_SSH, identityFile: server.identityFile, hostKeyFingerprints };
    for (const more of [{}, { hostKeyAlgorithms: "ssh-ed25519-cert-v01@openssh.com,ssh-ed25519" }]) {
      await (await login(server, { ...options, ...more })).close();
    }
  });

  test("for a new key that no file could keep, with accept-new too", async () => {
    await using server = await startOpenSsh();
    const options: ConnectOptions = { ...BY_SSH, userKnownHostsFile: [], strictHostKeyChecking: "accept-new" };
    const failure = await rejectionOf(login(server, { ...options, identityFile: server.identityFile }));
    expect(failure.code).toBe("host-key-unknown");
  });

  test.each([
    ["false", /The proxy command ended with status 1/],
    ["no-such-program-at-all", /The proxy command ended with status 127[\s\S]*not found/],
  ])("by the proxy command `%s`, and tells how that ended", async (proxyCommand, says) => {
    const failure = await failureAt(9, { proxyCommand });
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toMatch(says);
  });

  test("before a proxy command is run with a name that a shell would act upon", async () => {
    await using scratch = await Scratch.make();
    const user = `$(touch\${IFS}${scratch.path("made")})`;
    const proxyCommand = "echo %r";
    const failure = await rejectionOf(connect({ host: "127.0.0.1", port: 9, user }, { ...BY_SSH, proxyCommand }));
    expect(failure.code).toBe("config-error");
    expect(existsSync(scratch.path("made"))).toBe(false);
  });

  test("in time, although a process that its proxy command has left behind holds its stderr", async () => {
    await using scratch = await Scratch.make();
    const pid = scratch.path("pid");
    // One that passes a descriptor is run by `ssh` itself.
    const leaver = `setsid sh -c 'echo $$ >${pid}; exec sleep 60' </dev/null >/dev/null & exec sleep 60`;
    const script = await scratch.put("leave", `${leaver}\n`);
    const config = await scratch.put("config", `Host *\n  ProxyUseFdpass yes\n  ProxyCommand sh ${script}\n`);
    const left = () => eventually(() => existsSync(pid) && readFileSync(pid, "utf8").endsWith("\n"), { what: "a pid" });
    const connecting = () => failureAt(9, { configFile: config, connectTimeoutMs: CONNECT_TIMEOUT_MS });
    try {
      expect((await failureAfter(left, connecting)).code).toBe("connect-failed");
      expect(readdirSync(`/proc/${Number(await readFile(pid, "utf8"))}`)).toContain("stat");
    } finally {
      process.kill(Number(await readFile(pid, "utf8")), "SIGKILL");
    }
  });

  test("for `StrictHostKeyChecking no` of a configuration as for accept-new: a new key is recorded, a changed one refused", async () => {
    await using scratch = await Scratch.make();
    await using server = await startOpenSsh();
    const config = await scratch.put("config", "Host *\n  StrictHostKeyChecking no\n");
    const file = scratch.path("known_hosts");
    const options = { ...BY_SSH, configFile: config, identityFile: server.identityFile, userKnownHostsFile: file };
    await (await connect(destinationOf(server), options)).close();
    expect(await readFile(file, "utf8")).toContain(`[127.0.0.1]:${server.port} ssh-ed25519`);
    const other = generateKey("ed25519").publicKey;
    await scratch.put("known_hosts", `[127.0.0.1]:${server.port} ${other}\n`);
    expect((await rejectionOf(connect(destinationOf(server), options))).code).toBe("host-key-changed");
  });

  test("when no key is accepted, and tells what was tried", async () => {
    await using scratch = await Scratch.make();
    await using server = await startOpenSsh();
    const stranger = await scratch.put("stranger", generateKey("ed25519").privateKey);
    const failure = await rejectionOf(login(server, { ...BY_SSH, identityFile: stranger }));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toContain(`key ${stranger}`);
    expect(failure.message).toContain("The server takes: publickey");
  });

  test("for a configuration that cannot be read", async () => {
    await using scratch = await Scratch.make();
    const config = await scratch.put("config", "NoSuchKeyword yes\n");
    expect((await failureAt(9, { configFile: config })).code).toBe("config-error");
  });

  test("where no ssh is installed", async () => {
    await using scratch = await Scratch.make();
    await mkdir(scratch.path("bin"));
    await symlink("/bin/sh", join(scratch.path("bin"), "sh"));
    const before = process.env.PATH;
    process.env.PATH = scratch.path("bin");
    try {
      const failure = await failureAt(9);
      expect(failure.code).toBe("unsupported");
      expect(failure.hint).toContain('`backend: "ssh2"`');
    } finally {
      process.env.PATH = before;
    }
  });

  test("where ssh is older than 7.6, which it is asked about once", async () => {
    await using scratch = await Scratch.make();
    await scratch.mkdir("bin");
    const asked = scratch.path("asked");
    await scratch.put("bin/ssh", `#!/bin/sh\necho "$*" >>${asked}\necho OpenSSH_7.5p1, a test >&2\n`, 0o700);
    const before = process.env.PATH;
    process.env.PATH = scratch.path("bin");
    try {
      for (let count = 0; count < 2; count += 1) {
        const failure = await failureAt(9);
        expect(failure.code).toBe("unsupported");
        expect(failure.message).toContain("not OpenSSH 7.6 or later");
      }
      expect(await readFile(asked, "utf8")).toBe("-V\n");
    } finally {
      process.env.PATH = before;
    }
  });

  test("where the server hangs in the middle, after connectTimeoutMs", async () => {
    await using server = await startEmbedded({ hangAt: "auth" });
    const options = { ...BY_SSH, identityFile: server.identityFile, connectTimeoutMs: CONNECT_TIMEOUT_MS };
    const connecting = () => rejectionOf(loginWithKey(server, options));
    const failure = await hearing("SERVICE_ACCEPT received", (heard) => failureAfter(() => heard, connecting));
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain(`did not get past authentication within ${CONNECT_TIMEOUT_MS} ms`);
  });
});
