import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import type { Logger } from "../../src/client/log/logger.ts";
import { cleanupClients } from "../../src/client/managed-clients.ts";
import { PluginError } from "../../src/contract/errors.ts";
import type { ReattachConfig } from "../../src/contract/reattach.ts";
import type { SecureConfig } from "../../src/contract/secure-config.ts";
import { GRPCController } from "../../src/dial/gen/plugin_pb.ts";
import { failureOf } from "../contract/said.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { runNode } from "../tools/run-node.ts";
import { HANDSHAKE } from "./started-client.ts";
import { StubPlugin } from "./stub-plugin.ts";

const MANAGED_HOST = fileURLToPath(new URL("../fixtures/managed-host.mjs", import.meta.url));

let directory = "";
let stub: StubPlugin;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "gpt"));
});

afterEach(async () => {
  await stub[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
});

/** A client of a plugin in this process, which leaves when it is asked to. */
function host(options: Partial<ClientOptions> = {}, line?: string): Client {
  stub = new StubPlugin(
    directory,
    (router) => {
      router.service(KV, { echo: ({ payload }) => ({ payload }) });
      router.service(GRPCController, {
        shutdown: () => {
          stub.exit({ code: 0, signal: null });
          return {};
        },
      });
    },
    line,
  );
  const common = { handshakeConfig: HANDSHAKE, autoMtls: false, shutdownTimeoutMs: 10_000, runnerFunc: () => stub };
  return new Client({ ...common, ...options } as ClientOptions);
}

describe("why it runs no longer", () => {
  test("because it ended by itself", async () => {
    await using client = host();
    await client.start();
    const asked = client.exitReason();
    expect(client.exited).toBe(false);
    stub.exit({ code: 3, signal: null });
    expect(await asked).toEqual({ kind: "exited", exit: { code: 3, signal: null } });
    expect(await client.exitReason()).toEqual(await asked);
    expect(client.exited).toBe(true);
  });

  test("because it was killed", async () => {
    await using client = host();
    await client.start();
    await client.kill();
    expect(await client.exitReason()).toEqual({ kind: "killed", exit: { code: 0, signal: null } });
  });

  test("because it was killed before it was started", async () => {
    await using client = host();
    await client.kill();
    expect(await client.exitReason()).toEqual({ kind: "killed", exit: undefined });
    expect((await failureOf(client.start())).code).toBe("closed");
  });

  test("because the connection was lost", async () => {
    await using client = host();
    await client.start();
    const error = new PluginError("connection-lost", "The cable was pulled.");
    stub.lose(error);
    expect(await client.exitReason()).toEqual({ kind: "connection-lost", error });
  });

  test("because it never came to serve; the next start may", async () => {
    const lines = ["1|9|unix|ADDRESS|grpc|\n", undefined];
    const dead: StubPlugin[] = [];
    await using client = host({
      runnerFunc: () => {
        if (dead.length > 0) host();
        else host({}, lines[0]);
        dead.push(stub);
        return stub;
      },
    });
    await stub[Symbol.asyncDispose]();
    const failure = await failureOf(client.start());
    expect(await client.exitReason()).toEqual({ kind: "start-failed", error: failure });
    expect(client.exited).toBe(true);
    await dead[0]?.[Symbol.asyncDispose]();
    await client.start();
    expect(client.exited).toBe(false);
    await createClient(KV, client.transport).echo({});
    await client.kill();
    expect((await client.exitReason()).kind).toBe("killed");
  });

  test("may be given up to be waited for", async () => {
    await using client = host();
    expect((await failureOf(client.exitReason(AbortSignal.abort()))).code).toBe("aborted");
  });
});

describe("managed clients", () => {
  test("are killed together, and the others are not", async () => {
    await using managed = host({ managed: true });
    const first = stub;
    await managed.start();
    const other = mkdtempSync(join(tmpdir(), "gpt"));
    try {
      const mine = new StubPlugin(other, () => {});
      await using client = new Client({
        handshakeConfig: HANDSHAKE,
        autoMtls: false,
        shutdownTimeoutMs: 100,
        runnerFunc: () => mine,
      });
      await client.start();
      await cleanupClients();
      expect([first.calls.includes("kill"), mine.calls.includes("kill")]).toEqual([true, false]);
      expect([managed.exited, client.exited]).toEqual([true, false]);
      await client.kill();
      await mine[Symbol.asyncDispose]();
    } finally {
      rmSync(other, { recursive: true });
    }
  });

  test("leave no listeners behind", async () => {
    const before = process.listenerCount("SIGTERM");
    await using client = host({ managed: true });
    await client.start();
    expect(process.listenerCount("SIGTERM")).toBe(before + 1);
    stub.exit({ code: 0, signal: null });
    await client.exitReason();
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });

  test("end with the process that a signal ends", async () => {
    stub = new StubPlugin(directory, () => {});
    const library = pathToFileURL(join(built(), "client.js")).href;
    const ended = await runNode([MANAGED_HOST, library], { env: {}, cwd: directory });
    expect(ended).toMatchObject({ code: null, signal: "SIGTERM", stdout: "started\nkilled\n", stderr: "" });
  });
});

describe("a reattached plugin", () => {
  /** A plugin that somebody else has started, and a client for it. */
  async function reattach(options: { test?: boolean } = {}) {
    host();
    await stub.start();
    return new Client({
      handshakeConfig: HANDSHAKE,
      plugins: { kv: KV },
      shutdownTimeoutMs: 10_000,
      reattach: { protocol: "grpc", protocolVersion: 1, addr: stub.address, pid: 1, ...options },
      reattachFunc: async () => stub,
    });
  }

  test("is called, and ended by kill", async () => {
    await using client = await reattach();
    await (await client.dispense("kv")).echo({});
    expect([client.negotiatedVersion, client.id]).toEqual([1, "stub#1"]);
    await client.kill();
    expect(await client.exitReason()).toEqual({ kind: "killed", exit: { code: 0, signal: null } });
  });

  test("gives the config that it was given, also by way of JSON", async () => {
    await using client = await reattach();
    await client.start();
    const config = await client.reattachConfig();
    expect(config).toMatchObject({ protocol: "grpc", protocolVersion: 1, addr: stub.address, pid: 1 });
    expect(JSON.parse(JSON.stringify(config))).toEqual(config);
  });

  test("in test mode lives on", async () => {
    const client = await reattach({ test: true });
    await client.start();
    await createClient(KV, client.transport).echo({});
    expect(client.id).toBe("");
    await client.kill();
    expect(stub.calls).not.toContain("kill");
    await eventually(() => stub.sessions.size === 0, { what: "the connection to go" });
    stub.exit({ code: 0, signal: null });
  });

  test("that is gone is told", async () => {
    stub = new StubPlugin(directory, () => {});
    const gone = new PluginError("not-found", "reattachment process not found");
    await using client = new Client({
      handshakeConfig: HANDSHAKE,
      reattach: { protocol: "grpc", protocolVersion: 1, addr: stub.address, pid: 1 },
      reattachFunc: () => Promise.reject(gone),
    });
    expect(await failureOf(client.start())).toBe(gone);
  });
});

describe("options that exclude each other", () => {
  const runnerFunc = () => stub;
  const reattach: ReattachConfig = {
    protocol: "grpc",
    protocolVersion: 1,
    addr: { network: "unix", path: "/x" },
    pid: 1,
  };
  const secureConfig: SecureConfig = { checksum: Buffer.alloc(32), hash: "sha256" };
  const refused: [options: object, says: string][] = [
    [{ runnerFunc, reattach }, "exactly one of Cmd, or Reattach, or RunnerFunc must be set"],
    [{}, "exactly one of Cmd, or Reattach, or RunnerFunc must be set"],
    [{ reattach, secureConfig }, "only one of Reattach or SecureConfig can be set"],
    [{ reattach, grpcBrokerMultiplex: true }, "gRPC broker multiplexing is not supported with Reattach config"],
    [{ reattach, autoMtls: true }, "`autoMtls` cannot be on with `reattach`"],
    [{ runnerFunc, reattachFunc: async () => stub }, "`reattachFunc` belongs to `reattach`"],
    [{ runnerFunc, autoMtls: true, tls: { ca: "", cert: "", key: "" } }, "Only one of `autoMtls` and `tls`"],
  ];
  test.each(refused)("%o", (options, says) => {
    host();
    expect(() => new Client({ handshakeConfig: HANDSHAKE, ...options } as never)).toThrow(
      expect.objectContaining({ code: "bad-options", message: expect.stringContaining(says) }),
    );
  });

  test("do not compile either", () => {
    host();
    const config = { handshakeConfig: HANDSHAKE };
    const attempts: (() => Client)[] = [
      // @ts-expect-error neither
      () => new Client({ ...config }),
      // @ts-expect-error both
      () => new Client({ ...config, runnerFunc, reattach }),
      // @ts-expect-error two kinds of certificates
      () => new Client({ ...config, runnerFunc, autoMtls: true, tls: { ca: "", cert: "", key: "" } }),
      // @ts-expect-error a running plugin's file is no matter
      () => new Client({ ...config, reattach, secureConfig }),
    ];
    for (const attempt of attempts) expect(attempt).toThrow(PluginError);
  });
});

describe("the checksum", () => {
  const secureConfig = { checksum: Buffer.alloc(32, 7), hash: "sha256" } as const;

  test("is the runner's to check", async () => {
    const told: unknown[] = [];
    await using client = host({ secureConfig });
    stub.requireChecksum = (config) => void told.push(config);
    await client.start();
    expect(told).toEqual([{ checksum: new Uint8Array(secureConfig.checksum), hash: "sha256" }]);
  });

  test("is not dropped by a runner that cannot", async () => {
    await using client = host({ secureConfig });
    expect((await failureOf(client.start())).code).toBe("unsupported");
    expect(stub.calls).not.toContain("start");
  });
});

test("the host's own messages and the plugin's go to one logger", async () => {
  const said: string[] = [];
  const logger = (name: string): Logger => ({
    isEnabled: () => true,
    log: (level, message) => void said.push(`${name} ${level}: ${message}`),
    named: (more) => logger(`${name}.${more}`),
  });
  await using client = host({ logger: logger("host") });
  await client.start();
  stub.stderr.write('{"@level":"warn","@message":"hot"}\n');
  await client.kill();
  expect(said).toContain("host.stub warn: hot");
  expect(said).toEqual(
    expect.arrayContaining(["host debug: starting plugin", "host debug: using plugin", "host debug: plugin exited"]),
  );
});
