import { X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseReattachConfig } from "../../src/contract/reattach.ts";
import { createCertificate } from "../../src/handshake/certificates.ts";
import { buildKv, hasGo } from "../plugins/go-plugins.ts";
import { servicesOf } from "../plugins/kv-services.ts";
import { dialTo } from "../plugins/started-kv.ts";
import { type EmbeddedTestServer, startEmbedded } from "../servers/embedded.ts";
import { destination } from "../shim/start-shim.ts";
import { built } from "../tools/built.ts";
import { type Running, startNode } from "../tools/run-node.ts";
import { openUserHome, type UserHome } from "../tools/user-home.ts";

const COOKIE = ["--cookie", "KV_PLUGIN_COOKIE=kv"];

let kv = "";
let server: EmbeddedTestServer;
let user: UserHome;

beforeAll(async () => {
  if (hasGo()) kv = await buildKv();
}, 6 * 60_000);

beforeEach(async () => {
  server = await startEmbedded();
  user = await openUserHome({ dist: built(), server });
});

afterEach(async () => {
  await server.stop();
  user[Symbol.dispose]();
});

function cli(...words: string[]): Running {
  return startNode([join(built(), "go-plugin-ssh.js"), ...words], { env: user.env });
}

/** What it has printed on stdout by the time that it has printed `text`. */
async function printed(running: Running, text: string): Promise<string> {
  let all = "";
  running.child.stdout?.on("data", (chunk: string) => {
    all += chunk;
  });
  await running.said(text);
  return all;
}

describe.skipIf(!hasGo())("go-plugin-ssh run", () => {
  test("tells where the plugin is reached, shows its log, and ends it on Ctrl-C", async () => {
    const running = cli("run", destination(server), ...COOKIE, "--json", "--", kv);
    const told = JSON.parse(await printed(running, '"plugin":'));
    expect(told).toMatchObject({ network: "unix", protocol: "grpc", protocolVersion: 1, certificate: null });
    const { kv: service } = servicesOf(dialTo([told.network, told.address]));
    await service.log({ lines: ["a line of the plugin's"] });
    await running.said("a line of the plugin's");
    running.child.kill("SIGINT");
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 0 });
    expect(ended.stderr).toMatch(/^\S+ \[DEBUG\] kv: a line of the plugin's$/m);
  });

  test("asks for TLS, and shows the plugin's certificate", async () => {
    const file = join(user.directory, "mine.pem");
    writeFileSync(file, createCertificate().certificatePem);
    const running = cli("run", destination(server), ...COOKIE, "--client-cert", file, "--", kv);
    const text = await printed(running, "END CERTIFICATE");
    const [pem = ""] = /-----BEGIN[\s\S]*-----\n/.exec(text) ?? [];
    expect(new X509Certificate(pem).subject).toMatch(/CN=localhost/);
    expect(text).toMatch(/^protocol {5}grpc, version 1$/m);
    running.child.kill("SIGTERM");
    expect(await running.ended).toMatchObject({ code: 0 });
  });

  test("passes on how the plugin ended", async () => {
    const running = cli("run", destination(server), ...COOKIE, "--", kv, "-crash-after", "1", "-crash-code", "7");
    const ended = await running.ended;
    expect(ended).toMatchObject({ code: 7, stderr: expect.stringContaining("ended with exit code 7") });
  });

  test.each([
    [["--", "x"], 2, /--host <name>, or --cookie NAME=VALUE/],
    [["--cookie", "A", "--", "x"], 2, /NAME=VALUE/],
    [["--host", "packer", "--", "x"], 2, /cookie of "packer" is not known/],
    [["--host", "vault", "--cookie", "A=b", "--", "x"], 2, /exclude each other/],
    [["--host", "vault", "--protocol-versions", "one", "--", "x"], 2, /joined by commas/],
    [["--host", "vault", "--client-cert", "/missing", "--", "x"], 78, /is no certificate/],
    [["--host", "vault", "--", "/no/such/plugin"], 1, /no such command on the box/],
  ])("refuses %j", async (words, code, message) => {
    const ended = await cli("run", destination(server), ...words).ended;
    expect(ended).toMatchObject({ code, stdout: "" });
    expect(ended.stderr).toMatch(message);
  });
});

describe.skipIf(!hasGo())("go-plugin-ssh reattach", () => {
  test("prints go-plugin's general form, with a pid that lives here", async () => {
    const words = [...COOKIE, "--protocol-versions", "1", "--json", "--", kv];
    const running = cli("reattach", destination(server), ...words);
    const text = await printed(running, '"Addr":');
    const config = parseReattachConfig(JSON.parse(text));
    expect(config).toMatchObject({ protocol: "grpc", protocolVersion: 1, pid: running.child.pid, test: true });
    const address = config.addr.network === "unix" ? config.addr.path : "";
    const { kv: service } = servicesOf(dialTo(["unix", address]));
    expect(await service.version({})).toMatchObject({ version: 1 });
    running.child.kill("SIGINT");
    expect(await running.ended).toMatchObject({ code: 0, stdout: text });
  });

  test.each([
    [["--", "x"], 2, /--provider is missing/],
    [["--provider", "aws", "--", "x"], 2, /source address such as hashicorp\/aws/],
    [["--provider", "a/b", "--tcp", "--", "x"], 2, /--tcp would let every user/],
    [
      ["--json", ...COOKIE, "--", "/bin/sh", "-c", "echo '1|one|unix|/tmp/x|grpc|'; exec sleep 60"],
      76,
      /no number: "one"/,
    ],
  ])("refuses %j", async (words, code, message) => {
    const ended = await cli("reattach", destination(server), ...words).ended;
    expect(ended).toMatchObject({ code, stdout: "" });
    expect(ended.stderr).toMatch(message);
  });
});
