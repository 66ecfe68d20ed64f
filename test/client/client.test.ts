import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, createClient } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Client } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { GRPCController, GRPCStdio, StdioData_Channel, StdioDataSchema } from "../../src/dial/gen/plugin_pb.ts";
import { later } from "../../src/lifetime/later.ts";
import { withFakeTimeouts } from "../connect/fake-timeouts.ts";
import { failureOf } from "../contract/said.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { eventually } from "../tools/eventually.ts";
import { openSockets } from "../tools/leaks.ts";
import { HANDSHAKE } from "./started-client.ts";
import { StubPlugin } from "./stub-plugin.ts";

let directory = "";
let before: Record<string, number> = {};
let plugin: StubPlugin;
let client: Client;

beforeEach(() => {
  before = openSockets();
  directory = mkdtempSync(join(tmpdir(), "gpt"));
});

afterEach(async () => {
  await client[Symbol.asyncDispose]();
  await plugin[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true });
  const more = () => Object.entries(openSockets()).filter(([kind, count]) => count > (before[kind] ?? 0));
  await eventually(() => more().length === 0, { what: "all sockets to be closed", state: more });
});

/** A client of a plugin in this process that serves `routes`. */
function host(routes: (router: ConnectRouter) => void = () => {}, options: Partial<ClientOptions> = {}, line?: string) {
  plugin = new StubPlugin(directory, routes, line);
  client = new Client({
    handshakeConfig: HANDSHAKE,
    autoMtls: false,
    shutdownTimeoutMs: 100,
    runnerFunc: () => plugin,
    ...options,
  } as ClientOptions);
  return client;
}

describe("what the plugin prints while it serves", () => {
  const pieces: [StdioData_Channel, string][] = [
    [StdioData_Channel.STDOUT, "out 1\n"],
    [StdioData_Channel.STDERR, "err 1\n"],
    [StdioData_Channel.INVALID, "nobody's"],
    [StdioData_Channel.STDOUT, "out 2"],
  ];
  const stdio = (over: Promise<unknown>, onEnd = () => {}) => {
    return (router: ConnectRouter) => {
      router.service(GRPCStdio, {
        async *streamStdio() {
          for (const [channel, text] of pieces) {
            yield create(StdioDataSchema, { channel, data: Buffer.from(text) });
          }
          onEnd();
          await over;
        },
      });
    };
  };

  test("goes to where the host wants it", async () => {
    const over = later<void>();
    const [out, err] = [new Collector(), new Collector()];
    await host(stdio(over.promise), { syncStdout: out, syncStderr: err }).start();
    await eventually(() => out.text === "out 1\nout 2" && err.text === "err 1\n", {
      what: "what was printed",
      state: () => [out.text, err.text],
    });
    over.resolve();
    await client.kill();
    expect([out.writableEnded, err.writableEnded]).toEqual([false, false]);
  });

  test("is taken from the plugin although nobody wants it", async () => {
    const [over, taken] = [later<void>(), later<void>()];
    await host(stdio(over.promise, () => taken.resolve())).start();
    await taken.promise;
    over.resolve();
  });
});

describe("a plugin", () => {
  test("need not have go-plugin's own services", async () => {
    await host((router) => {
      router.service(KV, { echo: ({ payload }) => ({ payload }) });
    }).start();
    const answer = await createClient(KV, client.transport).echo({ payload: Buffer.from("hello") });
    expect(Buffer.from(answer.payload).toString()).toBe("hello");
    expect(await failureOf(client.ping())).toMatchObject({ code: "plugin-exited" });
    await client.kill();
    expect(plugin.calls).toEqual(["start", "openStream", "kill"]);
  });

  test("that does not answer the shutdown is ended", async () => {
    const asked = later<void>();
    const shutdown = async () => {
      asked.resolve();
      await new Promise(() => {});
      return {};
    };
    await withFakeTimeouts(async (pass) => {
      await host((router) => void router.service(GRPCController, { shutdown })).start();
      const killing = client.kill();
      await asked.promise;
      expect(plugin.calls).not.toContain("kill");
      pass(100);
      await killing;
    });
    expect(plugin.calls.at(-1)).toBe("kill");
  });

  test("that answers the shutdown and stays is ended", async () => {
    await host((router) => {
      router.service(GRPCController, { shutdown: () => ({}) });
    }).start();
    await client.kill();
    expect(await client.wait()).toEqual({ code: null, signal: "SIGKILL" });
  });

  test("that leaves when it is asked to is not ended", async () => {
    const shutdown = () => {
      plugin.exit({ code: 0, signal: null });
      return {};
    };
    const patient = { shutdownTimeoutMs: 30_000 };
    await host((router) => void router.service(GRPCController, { shutdown }), patient).start();
    await client.kill();
    expect(await client.wait()).toEqual({ code: 0, signal: null });
  });

  test("is reached by an address where the runner gives no streams", async () => {
    host((router) => {
      router.service(KV, { echo: ({ payload }) => ({ payload }) });
    });
    delete plugin.openStream;
    await client.start();
    await createClient(KV, client.transport).echo({});
    expect(plugin.calls).toEqual(["start", "pluginToHost"]);
  });

  test("that closes the connection is connected to again", async () => {
    await host((router) => {
      router.service(KV, { echo: ({ payload }) => ({ payload }) });
    }).start();
    const kv = createClient(KV, client.transport);
    await kv.echo({});
    for (const session of plugin.sessions) session.close();
    await eventually(() => plugin.sessions.size === 0, { what: "the connection to go" });
    await eventually(() => kv.echo({}), { what: "another connection" });
    expect(plugin.calls.filter((call) => call === "openStream")).toHaveLength(2);
  });
});

/** Starts a plugin that never answers `get`; `begun` resolves with the first call. */
async function hostHanging(): Promise<{ begun: Promise<void> }> {
  const begun = later<void>();
  await host((router) => {
    router.service(KV, {
      get: async () => {
        begun.resolve();
        await new Promise(() => {});
        return {};
      },
    });
  }).start();
  return { begun: begun.promise };
}

describe("a call", () => {
  test("fails as the plugin says, also when the plugin then goes", async () => {
    await host((router) => {
      router.service(KV, {
        get: () => {
          throw new ConnectError("gone away", Code.Aborted);
        },
      });
    }).start();
    const failure = ConnectError.from(await reasonOf(createClient(KV, client.transport).get({ key: "a" })));
    expect(failure).toMatchObject({ code: Code.Aborted, rawMessage: "gone away" });
  });

  test("whose connection goes fails with the reason, if that comes", async () => {
    const { begun } = await hostHanging();
    const call = reasonOf(createClient(KV, client.transport).get({ key: "a" }));
    await begun;
    for (const session of plugin.sessions) session.destroy();
    plugin.exit({ code: 4, signal: null });
    const failure = ConnectError.from(await call);
    expect(failure.code).toBe(Code.Unavailable);
    expect(failure.cause).toMatchObject({
      code: "plugin-exited",
      message: expect.stringContaining("exit code 4"),
    });
  });

  test("whose connection goes for no known reason fails all the same", async () => {
    const { begun } = await hostHanging();
    const call = reasonOf(createClient(KV, client.transport).get({ key: "a" }));
    await begun;
    for (const session of plugin.sessions) session.destroy();
    const failure = ConnectError.from(await call);
    expect(failure.code).toBe(Code.Unavailable);
    expect(failure.cause).toMatchObject({ code: "connection-lost" });
  });

  test("that the caller gives up is the caller's, whatever becomes of the connection", async () => {
    const { begun } = await hostHanging();
    const giveUp = new AbortController();
    const call = reasonOf(createClient(KV, client.transport).get({ key: "a" }, { signal: giveUp.signal }));
    await begun;
    giveUp.abort();
    for (const session of plugin.sessions) session.destroy();
    expect(ConnectError.from(await call).code).toBe(Code.Canceled);
  });
});

describe("a start", () => {
  test("that fails ends the plugin, and tells the failure of the start", async () => {
    host(() => {}, {}, "1|1|unix|ADDRESS|netrpc|\n");
    plugin.killFailure = new PluginError("still-running", "It lives.");
    const failure = await failureOf(client.start());
    expect(failure.code).toBe("handshake-failed");
    expect(failure.message).toContain('unsupported plugin protocol "netrpc". Supported: [grpc]');
    expect(plugin.calls).toEqual(["start", "kill"]);
    plugin.killFailure = undefined;
  });

  test("passes on what making a runner throws", async () => {
    const reason = new PluginError("bad-options", "No such box.");
    host(() => {}, { runnerFunc: () => Promise.reject(reason) });
    expect(await failureOf(client.start())).toBe(reason);
  });

  test("that loses its connection tells that", async () => {
    host(() => {}, {}, "1|1|un");
    const starting = failureOf(client.start());
    await eventually(() => plugin.id !== "", { what: "the plugin to be started" });
    plugin.lose(new PluginError("connection-lost", "The cable was pulled."));
    plugin.stdout.end();
    expect(await starting).toMatchObject({ code: "connection-lost", message: expect.stringContaining("cable") });
  });
});

test("what the runner cannot end is told", async () => {
  await host().start();
  plugin.killFailure = new PluginError("still-running", "It lives.");
  expect((await failureOf(client.kill())).code).toBe("still-running");
  await expect(client[Symbol.asyncDispose]()).rejects.toMatchObject({ code: "still-running" });
  await plugin[Symbol.asyncDispose]();
  host();
});

describe("options", () => {
  const runnerFunc = () => plugin;
  const refused: [what: string, options: object, says: RegExp][] = [
    ["an unknown one", { startTimeout: 5 }, /no option "startTimeout"/],
    ["a timeout as a text", { startTimeoutMs: "5s" }, /`startTimeoutMs`.*"5s"/],
    ["a timeout of 0", { shutdownTimeoutMs: 0 }, /`shutdownTimeoutMs`.*0/],
    ["no runner", { runnerFunc: undefined }, /exactly one of Cmd, or Reattach, or RunnerFunc must be set/],
    ["no handshake", { handshakeConfig: undefined }, /`handshakeConfig`/],
    ["no cookie", { handshakeConfig: { ...HANDSHAKE, magicCookieKey: "" } }, /`magicCookieKey`/],
    ["no version", { handshakeConfig: { ...HANDSHAKE, protocolVersion: undefined } }, /`protocolVersions`/],
    ["ports that are none", { minPort: 70_000 }, /`minPort`/],
    ["ports in the wrong order", { minPort: 2000, maxPort: 1000 }, /`minPort`.*`maxPort`/],
    ["AutoMTLS as a text", { autoMtls: "no" }, /`autoMtls`/],
  ];
  test.each(refused)("%s is refused", (_what, options, says) => {
    host();
    expect(() => new Client({ handshakeConfig: HANDSHAKE, runnerFunc, ...options } as never)).toThrow(
      expect.objectContaining({ code: "bad-options", message: expect.stringMatching(says) }),
    );
  });
});

/** Keeps what it is given, slowly. */
class Collector extends Writable {
  text = "";

  constructor() {
    super({ highWaterMark: 1 });
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    setImmediate(done);
  }
}

async function reasonOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => new TypeError("It did not fail."),
    (reason) => reason,
  );
}
