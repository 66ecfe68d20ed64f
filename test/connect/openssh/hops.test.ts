import { describe, expect, test } from "vitest";
import { connect } from "../../../src/connect/connect.ts";
import type { ConnectOptions } from "../../../src/connect/connect-options.ts";
import { generateKey } from "../../../src/demo/embedded/keys.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import type { TestServer } from "../../servers/server.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { rejectionOf } from "../failure-of.ts";
import { Scratch } from "../scratch.ts";
import { hopOf, output } from "../way/hops.ts";

// Whatever stands in somebody's rc files is none of these tests' business.
const start = () => startOpenSsh({ account: { home: "/" } });

/** Lines for a host of a configuration, which is reached with its own key. */
function host(name: string, server: TestServer, ...lines: readonly string[]): string {
  return [
    `Host ${name}`,
    ...lines,
    `HostName ${server.host}`,
    `Port ${server.port}`,
    `User ${server.user}`,
    `IdentityFile ${server.identityFile}`,
    "IdentityAgent none",
    `UserKnownHostsFile ${server.knownHostsFile}`,
    "GlobalKnownHostsFile none",
    "",
  ].join("\n");
}

/** Connects by the system's `ssh` to `box` of a configuration. */
async function toBox(scratch: Scratch, config: string, more: ConnectOptions = {}) {
  const configFile = await scratch.put("config", config);
  return connect("box", { configFile, backend: "openssh", ...more });
}

describe.skipIf(!hasTier("openssh") || !hasTier("accounts"))("the system's ssh behind jump hosts", () => {
  test("goes through two of them, each by its own configuration, and nothing stays", async () => {
    await using scratch = await Scratch.make();
    await using first = await start();
    await using second = await start();
    await using box = await start();
    const config = [host("first", first), host("second", second), host("box", box, "ProxyJump first,second")].join(
      "\n",
    );
    const connection = await toBox(scratch, config);
    expect(connection.name).toBe(hopOf(box));
    expect(await output(connection, "echo hello")).toBe("hello\n");
    await connection.close();
    for (const server of [first, second, box]) {
      await eventually(() => server.sessionPids().length === 0, { what: "the server to be left alone" });
      expect(await server.log()).toMatch(/Accepted publickey/);
    }
  });

  test("refuses one whose key has changed, whatever the configuration says", async () => {
    await using scratch = await Scratch.make();
    await using hop = await start();
    await using box = await start();
    const { publicKey } = generateKey("ed25519");
    const known = await scratch.put("known", `[${hop.host}]:${hop.port} ${publicKey}\n`);
    const lax = host("hop", hop, "StrictHostKeyChecking no", `UserKnownHostsFile ${known}`);
    const failure = await rejectionOf(toBox(scratch, `${lax}\n${host("box", box, "ProxyJump hop")}`));
    expect(failure.code).toBe("host-key-changed");
    expect(failure.message).toMatch(/jump host/);
    expect(await hop.log()).not.toMatch(/Accepted/);
  });

  test("is lost with one of them, and says so", async () => {
    await using scratch = await Scratch.make();
    await using hop = await start();
    await using box = await start();
    const connection = await toBox(scratch, `${host("hop", hop)}\n${host("box", box, "ProxyJump hop")}`);
    hop.killSessions("SIGKILL");
    await eventually(() => connection.lost.aborted, { what: "the loss to be told" });
    expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
    expect(connection.lost.reason.message).toMatch(/jump host/);
    await connection.close();
  });

  test("goes through the command of a configuration", async () => {
    await using scratch = await Scratch.make();
    await using box = await start();
    const command = `ProxyCommand python3 -c "import socket,os,threading,sys; s=socket.create_connection(('%h',%p)); threading.Thread(target=lambda: [os.write(1,d) for d in iter(lambda: s.recv(65536), b'')], daemon=True).start(); [s.sendall(d) for d in iter(lambda: os.read(0,65536), b'')]"`;
    const connection = await toBox(scratch, host("box", box, command));
    expect(await output(connection, "echo hello")).toBe("hello\n");
    await connection.close();
  });
});
