import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Address, formatAddress } from "../../../src/contract/address.ts";
import { PluginError } from "../../../src/contract/errors.ts";
import type { BrokerOptions } from "../../../src/dial/broker/broker-options.ts";
import type { BrokerServer } from "../../../src/dial/broker/broker-server.ts";
import { GrpcBroker } from "../../../src/dial/broker/grpc-broker.ts";
import { grpcTransport } from "../../../src/dial/grpc-transport.ts";
import { Http2Link } from "../../../src/dial/http2-link.ts";
import { type PluginTls, secure } from "../../../src/dial/secure.ts";
import { secureAsServer } from "../../../src/dial/secure-as-server.ts";
import { StreamServer } from "../../../src/dial/stream-server.ts";
import { createCertificate } from "../../../src/handshake/certificates.ts";
import { later } from "../../../src/lifetime/later.ts";
import { failureOf } from "../../contract/said.ts";
import { AddHelper, Echo } from "../../plugins/gen/counter_pb.ts";
import { eventually } from "../../tools/eventually.ts";
import { openSockets } from "../../tools/leaks.ts";
import { FakePlugin } from "./fake-plugin.ts";

const NEVER = new AbortController().signal;
const PATIENT = { timeoutMs: 20_000 };
const HOST = createCertificate({ curve: "P-256" });
const PLUGIN = createCertificate({ curve: "P-256" });
/** As the host sees it, and as the plugin does. */
const TLS = tlsOf(HOST, PLUGIN);
const PLUGINS_TLS = tlsOf(PLUGIN, HOST);

function tlsOf(ours: typeof HOST, theirs: typeof HOST): PluginTls {
  return {
    certificatePem: ours.certificatePem,
    privateKeyPem: ours.privateKeyPem,
    pluginCertificate: theirs.der,
  };
}

let directory: string;
let plugin: FakePlugin;
let broker: GrpcBroker;
let before: Record<string, number>;

beforeEach(() => {
  before = openSockets();
  directory = mkdtempSync(join(tmpdir(), "gpb"));
  plugin = new FakePlugin();
});

/** Whatever happened: after the close nothing is left. */
afterEach(async () => {
  await broker.close();
  const more = () => Object.entries(openSockets()).filter(([kind, count]) => count > (before[kind] ?? 0));
  await eventually(() => more().length === 0, { what: "all sockets to be closed", state: more, ...PATIENT });
  expect(readdirSync(directory)).toEqual([]);
  rmSync(directory, { recursive: true });
});

function start(options: Partial<BrokerOptions> = {}): void {
  broker = new GrpcBroker({
    transport: plugin.transport,
    tls: undefined,
    translator: { pluginToHost: async (address) => address, hostToPlugin: async (address) => address },
    socketDirectory: async () => directory,
    ...options,
  });
  broker.start();
}

/** The plugin's connection to what the host has announced. */
async function dialHost(address: string): Promise<Socket> {
  const socket = connect({ path: address }).on("error", () => {});
  await once(socket, "connect");
  return socket;
}

/** The plugin's client of AddHelper at what the host has announced. */
function helperAt(address: string, tls: PluginTls | undefined) {
  const link = new Http2Link(tls ? "https://localhost" : "http://localhost", async (signal) => {
    const socket = await dialHost(address);
    return tls ? secure(socket, tls, signal) : socket;
  });
  const helper = createClient(AddHelper, grpcTransport(link));
  return { helper, close: () => link.close(new PluginError("closed", "done")) };
}

/** A listener of the plugin's that serves Echo. */
async function echoAt(path: string, tls?: PluginTls) {
  const server = new StreamServer(({ service }) => {
    service(Echo, { say: ({ payload }) => ({ payload, id: 1 }) });
  });
  const sockets: Socket[] = [];
  const listener = createServer({ allowHalfOpen: true }, async (socket) => {
    sockets.push(socket.on("error", () => {}));
    if (!tls) return server.serve(socket);
    await secureAsServer(socket, tls, NEVER).then(
      (secured) => server.serve(secured),
      () => {},
    );
  });
  listener.listen(path);
  await once(listener, "listening");
  const close = async () => {
    server.destroy();
    for (const socket of sockets) socket.destroy();
    if (listener.listening) await new Promise((resolve) => listener.close(resolve));
  };
  return { sockets, [Symbol.asyncDispose]: close };
}

describe("dial", () => {
  test("connects to what was announced before or after, and again after a loss", async () => {
    start({ tls: TLS });
    const path = join(directory, "echo");
    await using listening = await echoAt(path, PLUGINS_TLS);
    await plugin.say({ serviceId: 5, network: "unix", address: path });
    await using first = await broker.dial(5);
    const second = broker.dial(6);
    await plugin.say({ serviceId: 6, network: "unix", address: path });
    await using late = await second;
    expect([first.id, late.id]).toEqual([5, 6]);
    const payload = new Uint8Array(9_000_000).fill(1);
    for (const { transport } of [first, late]) {
      expect((await createClient(Echo, transport).say({ payload })).payload).toHaveLength(payload.length);
    }
    const echo = createClient(Echo, first.transport);
    // An abrupt end, which says nothing in HTTP/2 before.
    for (const socket of listening.sockets) socket.destroySoon();
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    await eventually(() => echo.say({}).then(({ id }) => id === 1), { what: "another connection", ...PATIENT });
    first.close();
    expect(ConnectError.from(await echo.say({}).catch((error) => error)).code).toBe(Code.Unavailable);
    const stream = broker.dialStream(7);
    await plugin.say({ serviceId: 7, network: "unix", address: path });
    (await stream).destroy();
  });

  test("goes where the runner says, or through it", async () => {
    const asked: Address[] = [];
    const path = join(directory, "echo");
    await using _listening = await echoAt(path);
    const pluginToHost = async (address: Address): Promise<Address> => {
      asked.push(address);
      return { network: "unix", path };
    };
    start({ translator: { pluginToHost, hostToPlugin: pluginToHost } });
    const dialled = broker.dial(1);
    await plugin.say({ serviceId: 1, network: "tcp", address: "127.0.0.1:4711" });
    await using connection = await dialled;
    expect((await createClient(Echo, connection.transport).say({})).id).toBe(1);
    expect(asked).toEqual([{ network: "tcp", host: "127.0.0.1", port: 4711 }]);
  });

  test.each([
    ["pipe", "/tmp/x", 'unknown address type: "/tmp/x"'],
    ["", "", 'unknown address type: ""'],
    ["unix", "", "unknown address type"],
    ["unix", "/tmp/\0plugin", "unknown address type"],
    ["unix", "/tmp/\x1b[2J", "unknown address type"],
    ["tcp", "nowhere", "unknown address type"],
    ["tcp", "::1:4711", "unknown address type"],
    ["tcp", "a b:4711", "unknown address type"],
    ["tcp", "127.0.0.1:70000", "unknown address type"],
  ])("refuses the network %j and the address %j", async (network, address, text) => {
    start();
    const failure = failureOf(broker.dial(1));
    await plugin.say({ serviceId: 1, network, address });
    expect(await failure).toMatchObject({ code: "handshake-failed", message: expect.stringContaining(text) });
  });

  test("fails where nobody or somebody else answers", async () => {
    start({ tls: TLS });
    const path = join(directory, "echo");
    const nobody = failureOf(broker.dial(1));
    await plugin.say({ serviceId: 1, network: "unix", address: path });
    expect((await nobody).code).toBe("forward-failed");
    await using _impostor = await echoAt(path, tlsOf(createCertificate({ curve: "P-256" }), HOST));
    const other = failureOf(broker.dial(2));
    await plugin.say({ serviceId: 2, network: "unix", address: path });
    expect((await other).code).toBe("handshake-failed");
  });

  test("is not misled by knocks, which nobody makes in this mode", async () => {
    start();
    const path = join(directory, "echo");
    await using _listening = await echoAt(path);
    await plugin.say({ serviceId: 1, knock: { knock: true } });
    await plugin.say({ serviceId: 1, network: "unix", address: path });
    await (await broker.dial(1))[Symbol.asyncDispose]();
    const answered = failureOf(broker.dial(2));
    await plugin.say({ serviceId: 2, knock: { knock: true, ack: true } });
    expect((await answered).message).toContain("unknown address type");
  });

  test("takes no id that is none", async () => {
    start();
    for (const id of [-1, 1.5, 2 ** 32, Number.NaN]) {
      expect((await failureOf(broker.dial(id))).code).toBe("bad-options");
      expect((await failureOf(broker.dialStream(id))).code).toBe("bad-options");
      expect((await failureOf(broker.accept(id))).code).toBe("bad-options");
    }
  });
});

describe("accept", () => {
  test("listens, makes the way, and only then tells the plugin", async () => {
    const wayIsReady = later<void>();
    let asked = later<Address>();
    const hostToPlugin = async (address: Address): Promise<Address> => {
      asked.resolve(address);
      await wayIsReady.promise;
      return { network: "tcp", host: "127.0.0.1", port: 99 };
    };
    start({ translator: { hostToPlugin, pluginToHost: hostToPlugin } });
    const accepting = broker.accept(broker.nextId());
    const socket = await dialHost(formatAddress(await asked.promise));
    expect(plugin.unheard).toEqual([]);
    wayIsReady.resolve();
    expect(await plugin.hear()).toMatchObject({ serviceId: 1, network: "tcp", address: "127.0.0.1:99" });
    const listener = await accepting;
    const stream = await listener.accept();
    socket.end("hello");
    expect(String((await once(stream, "data"))[0])).toBe("hello");
    stream.end("bye");
    expect(String((await once(socket, "data"))[0])).toBe("bye");
    const [first, second] = [listener.accept(), failureOf(listener.accept(AbortSignal.abort()))];
    expect((await second).code).toBe("aborted");
    const again = await dialHost(formatAddress(await asked.promise));
    await first;
    const rest = (async () => {
      for await (const _stream of listener) expect.unreachable();
      return "ended";
    })();
    await listener.close();
    expect(await rest).toBe("ended");
    expect((await failureOf(listener.accept())).code).toBe("closed");
    for (const one of [socket, again]) one.destroy();
    asked = later<Address>();
    const next = await broker.accept(1);
    const forgotten = await dialHost(formatAddress(await asked.promise));
    await next.close();
    await once(forgotten.resume(), "close");
  });

  test("can be given up, in every phase, and leaves nothing", async () => {
    const asked = later<void>();
    const never = async () => {
      asked.resolve();
      return new Promise<never>(() => {});
    };
    const phases: Partial<BrokerOptions>[] = [
      { socketDirectory: never },
      { translator: { hostToPlugin: never, pluginToHost: never } },
    ];
    for (const options of phases) {
      start(options);
      const giveUp = new AbortController();
      const [given, closed] = [failureOf(broker.accept(1, giveUp.signal)), failureOf(broker.accept(2))];
      await asked.promise;
      giveUp.abort();
      expect((await given).code).toBe("aborted");
      await broker.close();
      expect(await closed).toMatchObject({ code: "closed", message: expect.stringContaining("broker closed") });
      await eventually(() => readdirSync(directory).length === 0, { what: "the sockets to go", ...PATIENT });
    }
    expect((await failureOf(broker.accept(3))).message).toContain("broker closed");
  });

  test("says when a socket's path would be cut off", async () => {
    start({ socketDirectory: async () => join(directory, "x".repeat(100)) });
    expect((await failureOf(broker.accept(1))).code).toBe("forward-failed");
    expect(existsSync(join(directory, "x".repeat(100)))).toBe(false);
  });
});

describe("acceptAndServe", () => {
  const sum = { sum: ({ a, b }: { a: bigint; b: bigint }) => ({ sum: a + b }) };

  test("serves the plugin and nobody else, whatever they do", async () => {
    start({ tls: TLS });
    await broker.acceptAndServe(1, ({ service }) => service(AddHelper, sum));
    const { address } = await plugin.hear();
    const stranger = createCertificate({ curve: "P-256" });
    const silent = await dialHost(address);
    const plain = await dialHost(address);
    plain.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    const nameless = connectTls({ socket: await dialHost(address), rejectUnauthorized: false, ALPNProtocols: ["h2"] });
    const impostor = connectTls({
      socket: await dialHost(address),
      rejectUnauthorized: false,
      ALPNProtocols: ["h2"],
      cert: stranger.certificatePem,
      key: stranger.privateKeyPem,
    });
    const refused = [plain, nameless, impostor].map((socket) => once(socket.on("error", () => {}).resume(), "close"));
    const { helper, close } = helperAt(address, PLUGINS_TLS);
    expect((await helper.sum({ a: 1n, b: 2n })).sum).toBe(3n);
    await Promise.all(refused);
    expect((await helper.sum({ a: 2n, b: 2n })).sum).toBe(4n);
    expect(silent.destroyed).toBe(false);
    await broker.close();
    await once(silent.resume(), "close");
    close();
  });

  test.each<[string, (server: BrokerServer) => unknown]>([
    ["server, broker", (server) => [server.close(), broker.close()]],
    ["broker, server", (server) => [broker.close(), server.close()]],
    ["broker in a moment", (server) => [server.close(), Promise.resolve().then(() => broker.close())]],
    ["server in a moment", (server) => [broker.close(), Promise.resolve().then(() => server.close())]],
  ])("may be closed in any order at once: %s", async (_what, closeBoth) => {
    start({ tls: TLS });
    const server = await broker.acceptAndServe(1, ({ service }) => service(AddHelper, sum));
    const { address } = await plugin.hear();
    const clients = Array.from({ length: 5 }, () => helperAt(address, PLUGINS_TLS));
    await Promise.all(clients.map(({ helper }) => helper.sum({ a: 1n, b: 2n })));
    const half = await dialHost(address);
    closeBoth(server);
    await once(half.resume(), "close");
    for (const { close } of clients) close();
  });

  test("lets calls finish when it is closed, and ends those that do not", async () => {
    start();
    const release = later<void>();
    const arrived = [later<void>(), later<void>()] as const;
    const slow = {
      sum: async ({ a }: { a: bigint }) => {
        arrived[Number(a)]?.resolve();
        await (a === 0n ? release.promise : new Promise(() => {}));
        return { sum: 7n };
      },
    };
    const [finishing, hanging] = [
      await broker.acceptAndServe(1, ({ service }) => service(AddHelper, slow)),
      await broker.acceptAndServe(2, ({ service }) => service(AddHelper, slow)),
    ];
    const [one, two] = [
      helperAt((await plugin.hear()).address, undefined),
      helperAt((await plugin.hear()).address, undefined),
    ];
    const calls = [one.helper.sum({ a: 0n }), two.helper.sum({ a: 1n })] as const;
    for (const { promise } of arrived) await promise;
    const closing = finishing.close();
    release.resolve();
    expect((await calls[0]).sum).toBe(7n);
    await closing;
    const ended = calls[1].catch((failure) => failure);
    await Promise.all([hanging.close(), hanging.close()]);
    two.close();
    expect(await ended).toBeInstanceOf(ConnectError);
    one.close();
  });

  test("answers what it does not know, and requests that are none", async () => {
    start();
    await broker.acceptAndServe(1, ({ service }) => service(AddHelper, sum));
    const { address } = await plugin.hear();
    const leaves = connect({ path: address, allowHalfOpen: true });
    leaves.resume().end();
    await once(leaves, "close");
    const session = connectHttp2("http://localhost", { createConnection: () => connect({ path: address }) });
    const statusOf = async (headers: Record<string, string>) => {
      const stream = session.request(headers).resume().end();
      const [answer] = await once(stream, "response");
      return answer[":status"];
    };
    expect(await statusOf({ ":method": "POST", ":path": "/plugin.GRPCBroker/StartStream" })).toBe(404);
    expect(await statusOf({ ":method": "GET", ":path": "/countertest.AddHelper/Sum" })).toBeGreaterThanOrEqual(400);
    const rude = {
      ":method": "POST",
      ":path": "/countertest.AddHelper/Sum",
      ":authority": "%2Ftmp%2Fx",
      te: "trailers",
    };
    expect(await statusOf({ ...rude, "content-type": "application/grpc" })).toBe(200);
    session.destroy();
    const { helper, close } = helperAt(address, undefined);
    expect((await helper.sum({ a: 1n, b: 2n })).sum).toBe(3n);
    close();
  });
});

describe("the end of the stream", () => {
  const gone = new PluginError("plugin-exited", "The plugin has ended.");

  test.each<[string, unknown, string]>([
    ["a plugin without a broker", new ConnectError("no such service", Code.Unimplemented), "unsupported"],
    ["a plugin that is gone", new ConnectError("gone", Code.Unavailable, undefined, undefined, gone), "plugin-exited"],
    ["a plugin that fails", new ConnectError("oh", Code.Internal), "closed"],
    ["a plugin that just ends it", undefined, "closed"],
  ])("%s: those who wait are told, and those who come later", async (_what, failure, code) => {
    // A transport in memory does not carry causes.
    const transport =
      failure instanceof ConnectError && failure.cause
        ? { ...plugin.transport, stream: () => Promise.reject(failure) }
        : plugin.transport;
    start({ transport });
    const waiting = failureOf(broker.dial(1));
    plugin.end(failure);
    expect((await waiting).code).toBe(code);
    for (const call of [broker.dial(1), broker.dialStream(1), broker.accept(1), broker.acceptAndServe(2, () => {})]) {
      expect((await failureOf(call)).code).toBe(code);
    }
  });

  test("Unimplemented over a real transport", async () => {
    const transport = createRouterTransport(() => {});
    start({ transport });
    await eventually(async () => (await failureOf(broker.dial(1, AbortSignal.timeout(50)))).code === "unsupported", {
      what: "the end",
      ...PATIENT,
    });
  });

  test("a close gives calls under way its reason", async () => {
    start();
    const path = join(directory, "echo");
    await using _listening = await echoAt(path);
    const dialled = broker.dial(1);
    await plugin.say({ serviceId: 1, network: "unix", address: path });
    const connection = await dialled;
    await broker.close(gone);
    const failure = await createClient(Echo, connection.transport)
      .say({})
      .catch((error) => error);
    expect(ConnectError.from(failure)).toMatchObject({ code: Code.Unavailable, cause: gone });
    expect(await failureOf(broker.dial(1))).toMatchObject({ code: "closed", cause: gone });
  });
});
