import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { afterEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../../src/connect/connect.ts";
import { ConnectionPool } from "../../../src/connect/pool.ts";
import type { Connection } from "../../../src/contract/connection.ts";
import { SshRunner } from "../../../src/runner/ssh-runner.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import type { TestServer } from "../../servers/server.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { rejectionOf } from "../failure-of.ts";
import { Scratch } from "../scratch.ts";

afterEach(() => vi.unstubAllEnvs());

/** Every way in which settings come to be used. */
const READERS = ["ssh -G", "the small reader"] as const;

/** An alias for a test server, such that nothing else leads there. */
function block(alias: string, server: TestServer, more: readonly string[] = []): string {
  const lines = [
    `HostName ${server.host}`,
    `Port ${server.port}`,
    `User ${server.user}`,
    `IdentityFile "${server.identityFile}"`,
    ...more,
  ];
  return `Host ${alias}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

/** Where a connection really leads: the port of the server that serves it. */
async function portBehind(connection: Connection): Promise<number> {
  const { stdin, stdout, stderr } = await connection.exec("echo $SSH_CONNECTION");
  stdin.end();
  stderr.resume();
  return Number((await stdout.toArray()).join("").split(" ")[3]);
}

describe.skipIf(!hasTier("openssh"))("a box that only the configuration knows", () => {
  test("is reached with its port, user, key, known_hosts file and alias", async () => {
    await using server = await startOpenSsh();
    await using scratch = await Scratch.make();
    const [line = ""] = (await readFile(server.knownHostsFile, "utf8")).split("\n");
    const known = await scratch.put("known hosts", line.replace(/^\S+/, "vault"));
    const configFile = await scratch.put(
      "config",
      block("box", server, [
        `UserKnownHostsFile "${known}"`,
        "GlobalKnownHostsFile none",
        "HostKeyAlias vault",
        "IdentityAgent none",
      ]),
    );
    await using connection = await connect("box", { configFile });
    expect(connection.name).toBe(`${server.user}@127.0.0.1:${server.port}`);
    expect(connection.destination).toBe(`ssh://${server.user}@box:${server.port}`);
    expect(await portBehind(connection)).toBe(server.port);
    // The file vouches for that name only.
    const other = { configFile, hostKeyAlias: "other" };
    expect(await rejectionOf(connect("box", other))).toMatchObject({ code: "host-key-unknown" });
    const stranger = await rejectionOf(connect("nobody-of-that-name@box", { configFile }));
    expect(stranger).toMatchObject({ code: "auth-failed", message: expect.stringContaining("nobody-of-that-name") });
  });

  test.each(READERS)("is found by runners and pools, read by %s, and again by what they write down", async (reader) => {
    if (reader === "the small reader") vi.stubEnv("PATH", "/nonexistent");
    await using server = await startOpenSsh();
    await using scratch = await Scratch.make();
    const configFile = await scratch.put("config", `Include ${scratch.path("more")}\n`);
    await scratch.put("more", block("box*", server));
    const options = { configFile, identityAgent: "none", userKnownHostsFile: server.knownHostsFile };
    await using pool = new ConnectionPool(options);
    await using lease = await pool.lease("box1");
    expect(await portBehind(lease.connection)).toBe(server.port);
    await using runner = new SshRunner({ destination: "box2", ...options, command: ["/bin/sleep", "600"] });
    await runner.start();
    const { destination } = runner.process ?? {};
    expect(destination).toBe(`ssh://${server.user}@box2:${server.port}`);
    await runner.kill();
    await using again = await connect(destination as string, options);
    expect(await portBehind(again)).toBe(server.port);
  });

  test("is reached through the one in front of it, by what was written down too", async () => {
    await using inner = await startOpenSsh();
    await using outer = await startOpenSsh();
    await using scratch = await Scratch.make();
    const known = (server: TestServer) => [`UserKnownHostsFile ${server.knownHostsFile}`, "IdentityAgent none"];
    const configFile = await scratch.put(
      "config",
      block("inner", inner, [...known(inner), "ProxyJump outer"]) + block("outer", outer, known(outer)),
    );
    await using connection = await connect("inner", { configFile });
    expect(await portBehind(connection)).toBe(inner.port);
    expect(await outer.log()).toContain("Accepted publickey");
    await using again = await connect(connection.destination as string, { configFile });
    expect(await portBehind(again)).toBe(inner.port);
  });
});

describe.skipIf(!hasTier("openssh"))("two boxes behind one name", () => {
  test("are told apart, by a connection of one's own and by a pool", async () => {
    await using one = await startOpenSsh();
    await using two = await startOpenSsh();
    await using scratch = await Scratch.make();
    const flag = scratch.path("flag");
    const both = [one, two].map((server) => server.knownHostsFile).join(" ");
    const configFile = await scratch.put(
      "config",
      [
        `Match originalhost box exec "test -e ${flag}"`,
        `  Port ${two.port}\n  IdentityFile ${two.identityFile}`,
        "Host box",
        `  HostName 127.0.0.1\n  Port ${one.port}\n  IdentityFile ${one.identityFile}`,
        `  User ${userInfo().username}\n  UserKnownHostsFile ${both}\n  IdentityAgent none`,
        "",
      ].join("\n"),
    );
    await using pool = new ConnectionPool({ configFile });
    {
      await using lease = await pool.lease("box");
      expect(await portBehind(lease.connection)).toBe(one.port);
    }
    await scratch.put("flag", "");
    await using connection = await connect("box", { configFile });
    expect(await portBehind(connection)).toBe(two.port);
    // A pool reads again after two seconds at most.
    const isThere = async () => {
      await using lease = await pool.lease("box");
      return (await portBehind(lease.connection)) === two.port;
    };
    await eventually(isThere, { what: "the other box", timeoutMs: 20_000 });
  });
});
