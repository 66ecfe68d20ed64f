import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, describe, expect, test } from "vitest";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import { Scratch } from "../connect/scratch.ts";
import { type Bench, openConfiguredBench, opensshClientKind } from "../contract/runner-kinds.ts";
import { HostService } from "../plugins/gen/kv_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import type { OpenSshOptions } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { hasTier, SOFTHSM } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { clientContract } from "./client.contract.ts";
import { startKvOn } from "./started-client.ts";

const run = promisify(execFile);

const SOFTWARE_TOKEN = fileURLToPath(new URL("../servers/software-token.c", import.meta.url));

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;
const available = hasTier("go") && hasTier("openssh");

describe.skipIf(!available)("go, the system's ssh", () => clientContract(opensshClientKind()));

describe.skipIf(!available)("what ssh2 cannot do, the system's ssh does", () => {
  beforeAll(buildKv, BUILD_MS);

  test("certificates alone, of users and of hosts", async () => {
    await using scratch = await Scratch.make();
    const [userCa, hostCa] = [await newKey(scratch, "user-ca"), await newKey(scratch, "host-ca")];
    const [key, hostKey] = [await newKey(scratch, "key"), await newKey(scratch, "host-key")];
    await run("ssh-keygen", ["-q", "-s", userCa, "-I", "somebody", "-n", await whoAmI(), `${key}.pub`]);
    await run("ssh-keygen", ["-q", "-s", hostCa, "-I", "the box", "-h", "-n", "127.0.0.1", `${hostKey}.pub`]);
    const authority = await readFile(`${hostCa}.pub`, "utf8");
    const knownHosts = await scratch.put("known_hosts", `@cert-authority * ${authority}`);
    const certificatesOnly = [
      `HostKey ${hostKey}`,
      `HostCertificate ${hostKey}-cert.pub`,
      `TrustedUserCAKeys ${userCa}.pub`,
      "AuthorizedKeysFile none",
    ];
    const notices: string[] = [];
    await using bench = await openBenchFor(scratch, { options: certificatesOnly }, (server) => ({
      lines: [...hostLines(server), `IdentityFile ${key}`, `UserKnownHostsFile ${knownHosts}`],
      options: { onNotice: (text) => notices.push(text) },
    }));
    await answersAndCallsBack(bench);
    expect(await bench.server?.log()).toMatch(/Accepted publickey for .* ED25519-CERT .*ID somebody/);
    expect(notices.join("\n")).toContain(
      `The system's \`ssh\` connects to box, because of the certificate ${key}-cert.pub`,
    );
  });

  test("a host certificate of somebody else's authority is refused", async () => {
    await using scratch = await Scratch.make();
    const [ours, theirs, hostKey] = [
      await newKey(scratch, "ours"),
      await newKey(scratch, "theirs"),
      await newKey(scratch, "host-key"),
    ];
    await run("ssh-keygen", ["-q", "-s", theirs, "-I", "the box", "-h", "-n", "127.0.0.1", `${hostKey}.pub`]);
    const knownHosts = await scratch.put("known_hosts", `@cert-authority * ${await readFile(`${ours}.pub`, "utf8")}`);
    const options = [`HostKey ${hostKey}`, `HostCertificate ${hostKey}-cert.pub`];
    await using bench = await openBenchFor(scratch, { options }, (server) => ({
      lines: [...hostLines(server), `IdentityFile ${server.identityFile}`, `UserKnownHostsFile ${knownHosts}`],
      options: { backend: "openssh" },
    }));
    await using runner = bench.runner({ command: bench.command("stays.sh") });
    await expect(runner.start()).rejects.toMatchObject({ code: "host-key-unknown" });
  });

  test("KnownHostsCommand and Match exec", async () => {
    await using scratch = await Scratch.make();
    const asked = scratch.path("asked");
    await using bench = await openBenchFor(scratch, {}, async (server) => {
      const command = await scratch.put("known", `#!/bin/sh\ncat ${server.knownHostsFile}\n`, 0o700);
      return {
        lines: [
          ...hostLines(server),
          `UserKnownHostsFile ${scratch.path("none")}`,
          `KnownHostsCommand ${command}`,
          `Match host 127.0.0.1 exec "echo %h >${asked}"`,
          `  IdentityFile ${server.identityFile}`,
        ],
        options: {},
      };
    });
    await answersAndCallsBack(bench);
    expect(await readFile(asked, "utf8")).toBe("127.0.0.1\n");
  });

  test.skipIf(!hasTier("tokens"))("a key in a PKCS#11 token, whose PIN is asked for", async () => {
    await using scratch = await Scratch.make();
    const { publicKey, env } = await makeToken(scratch);
    await using _ = withEnvironment(env);
    const authorized = await scratch.put("authorized_keys", publicKey, 0o644);
    const asked: string[] = [];
    await using bench = await openBenchFor(scratch, { options: [`AuthorizedKeysFile ${authorized}`] }, (server) => ({
      lines: [...hostLines(server), `PKCS11Provider ${SOFTHSM}`, `UserKnownHostsFile ${server.knownHostsFile}`],
      options: {
        passphrase: ({ file }) => {
          asked.push(file);
          return "123456";
        },
      },
    }));
    await answersAndCallsBack(bench);
    expect(asked).toEqual([expect.stringContaining("gpt")]);
  });

  test.skipIf(!hasTier("tokens"))("a key in a FIDO token, whose PIN is asked for", async () => {
    await using scratch = await Scratch.make();
    const [provider, key] = [scratch.path("token.so"), scratch.path("key")];
    await run("cc", ["-shared", "-fPIC", "-o", provider, SOFTWARE_TOKEN, "-lcrypto"]);
    await run("ssh-keygen", ["-q", "-t", "ed25519-sk", "-O", "verify-required", "-w", provider, "-N", "", "-f", key]);
    const publicKey = await readFile(`${key}.pub`, "utf8");
    const authorized = await scratch.put("authorized_keys", `verify-required ${publicKey}`, 0o644);
    const asked: string[] = [];
    const passphrase = ({ file }: { file: string }) => {
      asked.push(file);
      return "2718";
    };
    const notices: string[] = [];
    await using bench = await openBenchFor(scratch, { options: [`AuthorizedKeysFile ${authorized}`] }, (server) => ({
      lines: [
        ...hostLines(server),
        `IdentityFile ${key}`,
        `SecurityKeyProvider ${provider}`,
        `UserKnownHostsFile ${server.knownHostsFile}`,
      ],
      options: { onNotice: (text) => notices.push(text), passphrase },
    }));
    await answersAndCallsBack(bench);
    expect(asked).toEqual([key]);
    expect(await bench.server?.log()).toMatch(/Accepted publickey for .* ED25519-SK /);
    expect(notices.join("\n")).toContain("because of SecurityKeyProvider");
  });
});

describe.skipIf(!available)("the user's own master", () => {
  beforeAll(buildKv, BUILD_MS);

  test("is used, logs in once for all, and is still there afterwards", async () => {
    await using scratch = await Scratch.make();
    const control = scratch.path("c");
    await using bench = await openBenchFor(scratch, {}, (server) => ({
      lines: [
        ...hostLines(server),
        `IdentityFile ${server.identityFile}`,
        `UserKnownHostsFile ${server.knownHostsFile}`,
        `ControlPath ${control}`,
      ],
      options: { backend: "openssh" },
    }));
    const config = scratch.path("config");
    const master = spawn("ssh", ["-F", config, "-M", "-N", "box"], { stdio: "ignore" });
    const ended = once(master, "exit");
    try {
      await eventually(() => existsSync(control), { what: "the master to listen" });
      await answersAndCallsBack(bench);
      await answersAndCallsBack(bench);
      const check = await run("ssh", ["-F", config, "-O", "check", "box"]);
      expect(check.stderr).toContain(`Master running (pid=${master.pid})`);
      expect((await bench.server?.log())?.match(/Accepted publickey/g)).toHaveLength(1);
    } finally {
      // Another signal may be seen late: OpenSSH 9.2 looks for one before it waits, not while.
      master.kill("SIGKILL");
      await ended;
    }
  });

  test("is not used with pinned keys, and not missed where it has ended", async () => {
    await using scratch = await Scratch.make();
    await using bench = await openBenchFor(scratch, {}, (server) => ({
      lines: [...hostLines(server), `IdentityFile ${server.identityFile}`, `ControlPath ${scratch.path("nobody")}`],
      options: { backend: "openssh", hostKeyFingerprints: [server.hostKeyFingerprint] },
    }));
    await answersAndCallsBack(bench);
  });
});

/** What a configuration says of the box, and what the caller does besides. */
interface Configured {
  lines: readonly string[];
  options: ConnectOptions;
}

/** A bench whose box is `box` in a configuration of its own. */
function openBenchFor(
  scratch: Scratch,
  options: OpenSshOptions,
  configure: (server: TestServer) => Configured | Promise<Configured>,
): Promise<Bench> {
  return openConfiguredBench(options, async (server) => {
    const configured = await configure(server);
    const configFile = await scratch.put("config", `${["Host box", ...configured.lines].join("\n")}\n`);
    return { destination: "box", configFile, ...configured.options };
  });
}

function hostLines({ host, port, user }: TestServer): string[] {
  return [`HostName ${host}`, `Port ${port}`, `User ${user}`, "IdentityAgent none", "GlobalKnownHostsFile none"];
}

/** Starts a plugin, calls it, has it call back, and ends it. */
async function answersAndCallsBack(bench: Bench): Promise<void> {
  await using hosted = await startKvOn(bench);
  const { client, kv } = hosted;
  const payload = Buffer.alloc(100_000, "by the system's ssh ");
  expect(payload.equals((await kv.echo({ payload })).payload)).toBe(true);
  const id = client.broker.nextId();
  await using _ = await client.broker.acceptAndServe(id, (router) => {
    router.service(HostService, { greet: ({ text }) => ({ text: `Hello, ${text}` }) });
  });
  expect((await kv.callHost({ brokerId: id, text: "box" })).text).toBe("Hello, box");
  await client.kill();
  expect(await client.wait()).toEqual({ code: 0, signal: null });
}

async function newKey(scratch: Scratch, name: string): Promise<string> {
  const path = scratch.path(name);
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path]);
  return path;
}

async function whoAmI(): Promise<string> {
  return (await run("id", ["-un"])).stdout.trim();
}

/** Makes a token that is a program, with a key in it. */
async function makeToken(scratch: Scratch): Promise<{ publicKey: string; env: Record<string, string> }> {
  await scratch.mkdir("tokens");
  const conf = await scratch.put(
    "softhsm2.conf",
    `directories.tokendir = ${scratch.path("tokens")}\nlog.level = ERROR\n`,
  );
  const env = { SOFTHSM2_CONF: conf };
  const options = { env: { ...process.env, ...env } };
  const token = ["--token-label", "gpt", "--pin", "123456"];
  await run(
    "softhsm2-util",
    ["--init-token", "--free", "--label", "gpt", "--pin", "123456", "--so-pin", "87654321"],
    options,
  );
  const pair = ["--login", "--keypairgen", "--key-type", "rsa:2048", "--id", "01", "--label", "gpt"];
  await run("pkcs11-tool", ["--module", `${SOFTHSM}`, ...token, ...pair], options);
  const { stdout } = await run("ssh-keygen", ["-D", `${SOFTHSM}`], options);
  return { publicKey: stdout, env };
}

/** Sets variables of this process for a while. */
function withEnvironment(env: Record<string, string>): AsyncDisposable {
  const before = Object.fromEntries(Object.keys(env).map((name) => [name, process.env[name]]));
  Object.assign(process.env, env);
  return {
    [Symbol.asyncDispose]: async () => {
      for (const [name, value] of Object.entries(before)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
    },
  };
}
