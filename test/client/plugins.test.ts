import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client as ServiceClient, Transport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { RunnerFunc } from "../../src/client/client-options.ts";
import { GRPCController } from "../../src/dial/gen/plugin_pb.ts";
import { failureOf } from "../contract/said.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { HANDSHAKE } from "./started-client.ts";
import { StubPlugin } from "./stub-plugin.ts";

let directory = "";
let stub: StubPlugin;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gpt"));
});

afterEach(async () => {
  await stub[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** What every client of these tests has: a plugin in this process that speaks version `version`. */
function hosting(version = 1, seen: Record<string, string> = {}) {
  stub = new StubPlugin(
    directory,
    (router) => {
      router.service(KV, { echo: ({ payload }) => ({ payload }) });
    },
    `1|${version}|unix|ADDRESS|grpc|\n`,
  );
  const runnerFunc: RunnerFunc = ({ environment }) => {
    Object.assign(seen, environment);
    return stub;
  };
  return { handshakeConfig: HANDSHAKE, autoMtls: false, shutdownTimeoutMs: 100, runnerFunc } as const;
}

/** A plugin whose client is made by hand. */
const handmade = {
  grpcClient: async ({ transport, signal }: { transport: Transport; signal: AbortSignal }) => ({ transport, signal }),
};

describe("a plugin is dispensed", () => {
  test("as the client of its service; that starts it", async () => {
    await using client = new Client({ ...hosting(), plugins: { kv: KV } });
    const kv = await client.dispense("kv");
    expectTypeOf(kv).toEqualTypeOf<ServiceClient<typeof KV>>();
    expect((await kv.echo({ payload: Buffer.from("hi") })).payload).toEqual(new Uint8Array(Buffer.from("hi")));
    expect([client.protocol, client.negotiatedVersion]).toEqual(["grpc", 1]);
  });

  test("as whatever its own `grpcClient` makes, which is told of the plugin's end", async () => {
    await using client = new Client({ ...hosting(), plugins: { handmade } });
    const made = await client.dispense("handmade");
    expectTypeOf(made.transport).toEqualTypeOf<Transport>();
    expect([made.transport === client.transport, made.signal.aborted]).toEqual([true, false]);
    await client.kill();
    expect(made.signal.reason).toMatchObject({ code: expect.stringMatching(/closed|plugin-exited/) });
  });

  test("by a name that is there", async () => {
    await using client = new Client({ ...hosting(), plugins: { kv: KV } });
    // @ts-expect-error there is no such plugin
    const failure = await failureOf(client.dispense("nothing"));
    expect(failure).toMatchObject({
      code: "bad-options",
      message: expect.stringContaining("unknown plugin type: nothing"),
    });
    expect(failure.message).toContain("kv");
    // @ts-expect-error nor does every object have it
    expect((await failureOf(client.dispense("toString"))).code).toBe("bad-options");
  });

  test("only if it can be called", async () => {
    // @ts-expect-error that is no plugin
    await using client = new Client({ ...hosting(), plugins: { odd: { serve: true } } });
    const failure = await failureOf(client.dispense("odd" as never));
    expect(failure).toMatchObject({
      code: "bad-options",
      message: expect.stringContaining(`"odd" doesn't support gRPC`),
    });
  });
});

describe("versions", () => {
  const versionedPlugins = { 2: { kv: KV }, 3: { control: GRPCController } } as const;

  test("have sets of their own, and the negotiated one counts", async () => {
    const seen: Record<string, string> = {};
    await using client = new Client({ ...hosting(2, seen), versionedPlugins });
    expectTypeOf<Parameters<typeof client.dispense>[0]>().toEqualTypeOf<"kv" | "control">();
    expect((await (await client.dispense("kv")).echo({})).payload).toHaveLength(0);
    expect(client.negotiatedVersion).toBe(2);
    expect((await failureOf(client.dispense("control"))).message).toContain("unknown plugin type: control");
    expect(seen.PLUGIN_PROTOCOL_VERSIONS).toBe("2,3");
  });

  test("include the plain set under its version", async () => {
    const seen: Record<string, string> = {};
    await using client = new Client({ ...hosting(1, seen), plugins: { plain: KV }, versionedPlugins });
    expectTypeOf<Parameters<typeof client.dispense>[0]>().toEqualTypeOf<"kv" | "control" | "plain">();
    await (await client.dispense("plain")).echo({});
    expect(seen.PLUGIN_PROTOCOL_VERSIONS?.split(",").sort()).toEqual(["1", "2", "3"]);
  });

  test("win over the plain set of the same version", async () => {
    const options = { ...hosting(2), handshakeConfig: { ...HANDSHAKE, protocolVersion: 2 } };
    await using client = new Client({ ...options, plugins: { plain: KV }, versionedPlugins });
    expect((await failureOf(client.dispense("plain"))).message).toContain("unknown plugin type: plain");
  });

  test("need no plain version", async () => {
    const { protocolVersion: _, ...handshakeConfig } = HANDSHAKE;
    await using client = new Client({ ...hosting(3), handshakeConfig, versionedPlugins });
    await client.start();
    expect(client.negotiatedVersion).toBe(3);
  });

  test("that were not offered are refused", async () => {
    await using client = new Client({ ...hosting(7), versionedPlugins });
    const failure = await failureOf(client.start());
    expect(failure.code).toBe("handshake-failed");
    expect(failure.message).toMatch(
      /incompatible API version with plugin. Plugin version: 7, Client versions: \[2 3\]/,
    );
  });
});
