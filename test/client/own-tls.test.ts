import { createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { createCertificate } from "../../src/handshake/certificates.ts";
import { type Bench, localKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { Echo } from "../plugins/gen/counter_pb.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { buildProgram } from "../plugins/go-plugins.ts";
import { createOwnTls } from "../plugins/own-tls.ts";
import { hasTier } from "../tiers/tiers.ts";
import { GrpcJs } from "./generic-grpc-js.ts";
import { hostKv, startKvOn } from "./started-client.ts";
import { startCounterOn } from "./started-counter.ts";

describe.skipIf(!hasTier("go"))("with TLS of its own, a plugin", () => {
  beforeAll(async () => {
    for (const program of ["kv", "counter"]) await buildProgram(program);
  }, 6 * 60_000);

  test.each([false, true])("is called and calls back; multiplexed: %s", async (grpcBrokerMultiplex) => {
    await using bench = await localKind.open();
    const { flags, tls } = await certificatesOn(bench);
    await using hosted = await startCounterOn(bench, { flags, tls, grpcBrokerMultiplex });
    const { typed, counter, client } = hosted;
    await typed.put("a", 2);
    await typed.put("a", 40);
    expect(await typed.get("a")).toBe(42);
    const [id = 0] = (await counter.serveEchoes({ count: 1 })).ids;
    await using connection = await client.broker.dial(id);
    const payload = Buffer.alloc(300_000, 7);
    const said = await createClient(Echo, connection.transport).say({ payload });
    expect([said.id, payload.equals(said.payload)]).toEqual([id, true]);
    await client.kill();
    expect(await client.exitReason()).toEqual({ kind: "killed", exit: { code: 0, signal: null } });
  });

  test("is called by grpc-js too", async () => {
    await using bench = await localKind.open();
    const { flags, tls } = await certificatesOn(bench);
    await using hosted = await startKvOn(bench, { flags, tls });
    using grpcJs = new GrpcJs(await hosted.client.grpcTarget());
    expect((await grpcJs.unary(KV.method.echo, { payload: Buffer.from("hi") })).payload).toHaveLength(2);
  });

  test("that nobody vouches for is not spoken to", async () => {
    await using bench = await localKind.open();
    const { flags, tls } = await certificatesOn(bench);
    const stranger = { ...tls, ca: createCertificate().certificatePem };
    await using hosted = await hostKv(bench, { flags, tls: stranger });
    expect((await failureOf(hosted.client.start())).code).toBe("handshake-failed");
    await using otherName = await hostKv(bench, { flags, tls: { ...tls, servername: "other.example" } });
    expect((await failureOf(otherName.client.start())).code).toBe("handshake-failed");
  });

  test("lets nobody else in", async () => {
    await using bench = await localKind.open();
    const { flags, tls } = await certificatesOn(bench);
    const { certificatePem: cert, privateKeyPem: key } = createCertificate();
    // In TLS 1.3 the host has finished before the plugin looks at its certificate.
    for (const mux of [false, true]) {
      const stranger = { ...tls, cert, key };
      await using hosted = await hostKv(bench, { flags, tls: stranger, grpcBrokerMultiplex: mux });
      const failure = await failureOf(hosted.client.start());
      expect(failure).toMatchObject({ code: "handshake-failed", message: expect.stringContaining("unknown ca") });
      expect(failure.hint).toContain("what the plugin itself asks for");
    }
  });

  test("is not spoken to without: with AutoMTLS it shows no certificate, in plaintext it does not answer", async () => {
    await using bench = await localKind.open();
    const { flags } = await certificatesOn(bench);
    await using automatic = await hostKv(bench, { flags });
    expect((await failureOf(automatic.client.start())).message).toContain("answered AutoMTLS without a certificate");
    await using plain = await hostKv(bench, { flags, autoMtls: false });
    const failure = await failureOf(plain.client.start());
    expect(failure).toMatchObject({ code: "handshake-failed", hint: expect.stringContaining("`tls`") });
  });
});

/** Certificates for both sides: what the plugin is started with, and what the host is given. */
async function certificatesOn(bench: Bench) {
  const { flags, plugin, host } = await createOwnTls(bench.directory);
  return { flags, tls: { ca: plugin.certificatePem, cert: host.certificatePem, key: host.privateKeyPem } };
}
