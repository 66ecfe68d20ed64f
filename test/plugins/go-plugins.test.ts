import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { basename, isAbsolute } from "node:path";
import { promisify } from "node:util";
import { Code, createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { KV } from "./gen/kv_pb.ts";
import { buildKv, buildProgram, GO_PLUGIN_VERSIONS, hasGo } from "./go-plugins.ts";
import { exists, type StartedKv, startKv } from "./started-kv.ts";

describe.skipIf(!hasGo())("the plugin kv", { timeout: 30_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  test("is built once", async () => {
    const path = await buildKv();
    expect(isAbsolute(path)).toBe(true);
    expect(statSync(path).mode & 0o100).toBe(0o100);
    expect(await buildKv()).toBe(path);
    expect(await buildProgram("kv", { goPlugin: "1.8" })).toBe(path);
  });

  test.each(GO_PLUGIN_VERSIONS)("serves with go-plugin %s", { timeout: 6 * 60_000 }, async (goPlugin) => {
    const program = await buildKv({ goPlugin });
    expect(basename(program)).toBe("kv");
    const { stdout } = await promisify(execFile)("go", ["version", "-m", program]);
    expect(stdout).toContain(`hashicorp/go-plugin\tv${goPlugin}.`);
    // A host that could multiplex and does not want to: the seventh field alone, where that is known.
    const kv = await startKv([], { PLUGIN_MULTIPLEX_GRPC: "false" }, { goPlugin });
    const [, , , address, ...rest] = await kv.handshake();
    expect(address).toMatch(new RegExp(`^${kv.directory}/plugin\\d+$`));
    expect(rest).toEqual(goPlugin === "1.4" ? ["grpc", ""] : ["grpc", "", "true"]);
    await expectService(kv);
  });

  test("refuses to run without the cookie", async () => {
    const kv = await startKv([], { KV_PLUGIN_COOKIE: "" });
    expect(await kv.exited).toEqual({ code: 1, signal: null });
    await kv.closed;
    expect(kv.stdout.text).toBe("");
    expect(kv.stderr.text).toContain("This binary is a plugin.");
  });

  test("serves on a unix socket in the directory it is told", async () => {
    const kv = await startKv([]);
    const [core, version, network, address, protocol, ...rest] = await kv.handshake();
    expect([core, version, network, protocol, rest]).toEqual(["1", "1", "unix", "grpc", [""]]);
    expect(address).toMatch(new RegExp(`^${kv.directory}/plugin\\d+$`));
    await expectService(kv);
  });

  test("prints a seventh field to a host that can multiplex", async () => {
    const kv = await startKv([], { PLUGIN_MULTIPLEX_GRPC: "true" });
    expect((await kv.handshake()).slice(4)).toEqual(["grpc", "", "true"]);
  });

  test("-tcp serves on the loopback address", async () => {
    const kv = await startKv(["-tcp"]);
    const [core, version, network, address, protocol, ...rest] = await kv.handshake();
    expect([core, version, network, protocol, rest]).toEqual(["1", "1", "tcp", "grpc", [""]]);
    expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    await expectService(kv);
  });

  test("-tcp leaves the certificate and the seventh field alone", async () => {
    const kv = await startKv(["-tcp"], { PLUGIN_CLIENT_CERT: "any", PLUGIN_MULTIPLEX_GRPC: "true" });
    const [certificate, multiplex] = (await kv.handshake()).slice(5);
    expect(certificate?.length).toBeGreaterThan(50);
    expect(multiplex).toBe("true");
  });

  test("-empty-cert answers AutoMTLS without a certificate, and in plaintext", async () => {
    const usual = await startKv([], { PLUGIN_CLIENT_CERT: "any" });
    expect((await usual.handshake())[5]?.length).toBeGreaterThan(50);
    const kv = await startKv(["-empty-cert"], { PLUGIN_CLIENT_CERT: "any" });
    expect((await kv.handshake())[5]).toBe("");
    await expectService(kv);
  });

  test("-exit leaves at once", async () => {
    const kv = await startKv(["-exit", "7"]);
    expect(await kv.exited).toEqual({ code: 7, signal: null });
    await kv.closed;
    expect(kv.stderr.text).toMatch(/\S/);
    expect(kv.stdout.text).toBe("");
  });

  test("-noise prints its line before the handshake", async () => {
    const kv = await startKv(["-noise", "Welcome to the box!"]);
    await expectService(kv);
    expect(kv.stdout.text).toMatch(/^Welcome to the box!\n1\|1\|unix\|.*\n$/);
  });

  test("-garbage prints a line that is no handshake, and stays", async () => {
    const kv = await startKv(["-garbage"]);
    expect(await kv.stdout.until(/.*\n/)).not.toContain("|");
    await expectToStayUntilTerm(kv);
  });

  test("-silent prints nothing, and stays", async () => {
    // The grandchild says on stderr when the plugin has come so far.
    const kv = await startKv(["-silent", "-grandchild"]);
    await kv.stderr.until(/^grandchild \d+$/m);
    await expectToStayUntilTerm(kv);
    expect(kv.stdout.text).toBe("");
  });

  test("-long-line prints 70 KiB without an end, and stays", async () => {
    const kv = await startKv(["-long-line"]);
    await kv.stdout.until(/^.{71680}/);
    await expectToStayUntilTerm(kv);
    expect(kv.stdout.text).toHaveLength(71_680);
    expect(kv.stdout.text).not.toContain("\n");
  });

  test("-slow waits before it serves", async () => {
    const startedAt = performance.now();
    const kv = await startKv(["-slow", "400"]);
    await kv.handshake();
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(400);
  });

  test("-crash-after dies after the handshake", async () => {
    const kv = await startKv(["-crash-after", "100"]);
    await kv.handshake();
    expect(await kv.exited).toEqual({ code: 3, signal: null });
  });

  test("-flood writes as many bytes of lines as it is told", async () => {
    const kv = await startKv(["-flood", "1000003"]);
    await expectService(kv);
    await kv.stderr.until(/^flood 000000007812 \.*\n/m);
    const lines = kv.stderr.text.split(/(?<=\n)/).filter((line) => line.startsWith("flood "));
    expect(lines.join("")).toHaveLength(1_000_003);
  });

  test("dies of SIGTERM, and with -ignore-term it does not, nor of SIGHUP", async () => {
    const usual = await startKv([]);
    await expectService(usual);
    await expectToStayUntilTerm(usual);

    const kv = await startKv(["-ignore-term"]);
    await expectService(kv);
    process.kill(kv.pid, "SIGTERM");
    process.kill(kv.pid, "SIGHUP");
    await expectService(kv);
    process.kill(kv.pid, "SIGKILL");
    expect(await kv.exited).toEqual({ code: null, signal: "SIGKILL" });
  });

  test("-grandchild leaves a process in the plugin's group, which holds its streams open", async () => {
    const kv = await startKv(["-grandchild"]);
    const pid = await grandchildOf(kv);
    await expectService(kv);
    expect(exists(-pid)).toBe(false);
    let closed = false;
    void kv.closed.then(() => {
      closed = true;
    });
    process.kill(kv.pid, "SIGKILL");
    await kv.exited;
    expect(exists(pid)).toBe(true);
    // In the time that another plugin needs to start, an end of the streams would have been seen.
    await expectService(await startKv([]));
    expect(closed).toBe(false);
    process.kill(-kv.pid, "SIGTERM");
    await kv.closed;
  });

  test("-daemon-grandchild leaves a process in a session of its own", async () => {
    const kv = await startKv(["-daemon-grandchild"]);
    const pid = await grandchildOf(kv);
    process.kill(-kv.pid, "SIGKILL");
    await kv.exited;
    expect(exists(-pid)).toBe(true);
    process.kill(-pid, "SIGTERM");
    await kv.closed;
  });

  test("-ignore-term holds for a grandchild too", async () => {
    const kv = await startKv(["-ignore-term", "-grandchild"]);
    const pid = await grandchildOf(kv);
    process.kill(-kv.pid, "SIGTERM");
    process.kill(-kv.pid, "SIGHUP");
    await expectService(kv);
    process.kill(kv.pid, "SIGKILL");
    await kv.exited;
    expect(exists(pid)).toBe(true);
    process.kill(pid, "SIGKILL");
    await kv.closed;
  });
});

async function expectService(kv: StartedKv): Promise<void> {
  const client = createClient(KV, await kv.dial());
  await expect(client.get({ key: "nothing" })).rejects.toMatchObject({ code: Code.NotFound });
}

/** The TERM would find nobody, and the exit status would be another, if it had left by itself. */
async function expectToStayUntilTerm(kv: StartedKv): Promise<void> {
  process.kill(-kv.pid, "SIGTERM");
  expect(await kv.exited).toEqual({ code: null, signal: "SIGTERM" });
  await kv.closed;
}

async function grandchildOf(kv: StartedKv): Promise<number> {
  return Number((await kv.stderr.until(/^grandchild \d+$/m)).split(" ")[1]);
}
