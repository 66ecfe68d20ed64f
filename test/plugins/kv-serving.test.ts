import { connect, type TLSSocket } from "node:tls";
import { Code, createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Health } from "../../src/dial/gen/health_pb.ts";
import { GRPCController, GRPCStdio } from "../../src/dial/gen/plugin_pb.ts";
import { type Certificate, createCertificate } from "../../src/handshake/certificates.ts";
import { Sink } from "./gen/output_pb.ts";
import { buildKv, GO_PLUGIN_VERSIONS, hasGo } from "./go-plugins.ts";
import { print, servicesOf } from "./kv-services.ts";
import { createOwnTls } from "./own-tls.ts";
import { dialTo, type StartedKv, startKv } from "./started-kv.ts";

describe.skipIf(!hasGo())("what kv serves, with", { timeout: 30_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  test.each([
    { flags: [], asked: "1", agreed: 1 },
    { flags: ["-protocol-version", "7"], asked: "1", agreed: 7 },
    { flags: ["-versions", "1,2,3"], asked: "1,2,9", agreed: 2 },
    { flags: ["-versions", "2,3"], asked: "1", agreed: 2 },
    { flags: ["-versions", "2,3"], asked: "", agreed: 2 },
    { flags: ["-versions", "2,3", "-protocol-version", "1"], asked: "", agreed: 1 },
  ])("$flags, agrees with a host of $asked on $agreed", async ({ flags, asked, agreed }) => {
    const kv = await startKv(flags, { PLUGIN_PROTOCOL_VERSIONS: asked });
    expect((await kv.handshake())[1]).toBe(String(agreed));
    expect(await servicesOf(await kv.dial()).kv.version({})).toMatchObject({ version: agreed });
  });

  test("-without, lacks services of go-plugin", async () => {
    const kv = await startKv(["-without", "stdio,controller"]);
    const transport = await kv.dial();
    const missing = { code: Code.Unimplemented };
    const stdio = createClient(GRPCStdio, transport).streamStdio({})[Symbol.asyncIterator]();
    await expect(stdio.next()).rejects.toMatchObject(missing);
    await expect(createClient(GRPCController, transport).shutdown({})).rejects.toMatchObject(missing);
    expect(await createClient(Health, transport).check({ service: "plugin" })).toMatchObject({ status: 1 });
  });

  test("-netrpc, says so", async () => {
    const kv = await startKv(["-netrpc"]);
    expect((await kv.handshake())[4]).toBe("netrpc");
  });

  test("-tls-cert, -tls-key and -tls-ca, lets in only the host with that certificate", async () => {
    const directory = (await startKv([])).directory;
    const { flags, plugin, host } = await createOwnTls(directory);
    const kv = await startKv(flags, { PLUGIN_CLIENT_CERT: "any" });
    const [, , , path = "", , certificate] = await kv.handshake();
    expect(certificate).toBe("");

    const common = { path, servername: "localhost", ca: plugin.certificatePem, ALPNProtocols: ["h2"] };
    const withCertificate = (own: Certificate) => ({ ...common, cert: own.certificatePem, key: own.privateKeyPem });
    const answer = await firstBytes(connect(withCertificate(host)));
    expect(answer.subarray(3, 4)).toEqual(Buffer.of(4)); // HTTP/2's SETTINGS frame.
    await expect(firstBytes(connect(common))).rejects.toThrow();
    await expect(firstBytes(connect(withCertificate(createCertificate())))).rejects.toThrow();
  });

  test("-close-output, ends both streams and answers", async () => {
    const kv = await startKv(["-close-output"]);
    await Promise.all([kv.stdout.ended, kv.stderr.ended]);
    const services = servicesOf(await kv.dial());
    await print(services, Sink.PROCESS_STDERR, "nobody hears this\n");
    expect((await services.kv.inspect({})).pid).toBe(BigInt(kv.pid));
    expect(kv.stderr.text).not.toContain("nobody");
  });

  test.each(GO_PLUGIN_VERSIONS)(
    "-reattach, needs no handshake, until stdin ends (%s)",
    async (goPlugin) => {
      await buildKv({ goPlugin });
      const environment = { KV_PLUGIN_COOKIE: "", PLUGIN_PROTOCOL_VERSIONS: "3" };
      const kv = await startKv(["-reattach", "-versions", "2,3"], environment, { goPlugin, stdin: "pipe" });
      const config = await reattachConfigOf(kv);
      const Addr = { Network: "unix", String: expect.stringContaining(kv.directory) };
      expect(config).toEqual({ Protocol: "grpc", ProtocolVersion: 3, Pid: kv.pid, Test: true, Addr });
      const { kv: client } = servicesOf(dialTo(["unix", config.Addr.String]));
      expect(await client.version({})).toMatchObject({ version: 3 });
      kv.endInput();
      expect(await kv.exited).toEqual({ code: 0, signal: null });
    },
    6 * 60_000,
  );

  test("-reattach -tcp, ends at SIGTERM, and a stdin that is /dev/null is none", async () => {
    const kv = await startKv(["-reattach", "-tcp"]);
    const { Addr } = await reattachConfigOf(kv);
    expect(Addr.Network).toBe("tcp");
    const services = servicesOf(dialTo(["tcp", Addr.String]));
    await print(services, Sink.STDIO_STDOUT, "seen\n");
    await kv.stdout.until(/^seen$/m);
    process.kill(kv.pid, "SIGTERM");
    expect(await kv.exited).toEqual({ code: 0, signal: null });
  });
});

/** What `-reattach` prints. */
async function reattachConfigOf(kv: StartedKv): Promise<{ Addr: { Network: string; String: string } }> {
  return JSON.parse(await kv.stdout.until(/^\{.*\}$/m));
}

/** What comes first through a TLS connection, which is closed then. */
function firstBytes(socket: TLSSocket): Promise<Buffer> {
  onTestFinished(() => void socket.destroy());
  return new Promise((resolve, reject) => {
    socket.once("data", resolve).once("error", reject);
    socket.once("close", () => reject(new Error("The plugin closed the connection.")));
  });
}
