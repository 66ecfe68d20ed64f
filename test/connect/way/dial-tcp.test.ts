import { once } from "node:events";
import { connect as connectSocket, createServer } from "node:net";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type DialOptions, dialTcp } from "../../../src/connect/way/dial-tcp.ts";
import { freePort } from "../../servers/spawn-server.ts";
import { eventually } from "../../tools/eventually.ts";
import { rejectionOf } from "../failure-of.ts";
import { hearing, withFakeTimeouts } from "../fake-timeouts.ts";
import { RawServer } from "../raw-server.ts";
import { leavesNoTrace } from "../traces.ts";

function dial(
  port: number,
  options: DialOptions = {},
  { host = "127.0.0.1", signal = new AbortController().signal } = {},
) {
  return dialTcp({ host, port, user: "ann" }, options, signal);
}

test("connects, and is closed without a trace", async () => {
  await using server = await RawServer.start(() => {});
  const way = await dial(server.port);
  await eventually(() => server.clients === 1, { what: "the client" });
  await way.close();
  await way.close();
  await eventually(() => server.clients === 0, { what: "its end" });
});

test("comes from `bindAddress`, an address or a name", async () => {
  for (const [bindAddress, seen] of [
    ["127.0.0.5", "127.0.0.5"],
    ["localhost", "127.0.0.1"],
  ] as const) {
    const from: unknown[] = [];
    await using server = await RawServer.start((client) => void from.push(client.remoteAddress));
    const way = await dial(server.port, { bindAddress, addressFamily: "inet" });
    await eventually(() => from.length === 1, { what: "the client" });
    expect(from).toEqual([seen]);
    await way.close();
  }
});

test.each<[bindAddress: string, code: string]>([
  ["no-such-name.invalid", "config-error"],
  // No machine has it (RFC 5737).
  ["192.0.2.1", "connect-failed"],
])("cannot come from %s", async (bindAddress, code) => {
  await using server = await RawServer.start(() => {});
  const failure = await leavesNoTrace(() => rejectionOf(dial(server.port, { bindAddress })));
  expect(failure.code).toBe(code);
  expect(failure.message).toContain(bindAddress);
});

test("`addressFamily` chooses among a name's addresses", async () => {
  await using server = await RawServer.start(() => {});
  const way = await dial(server.port, { addressFamily: "inet" }, { host: "localhost" });
  await way.close();
  // The server has no address of the other family.
  const failure = await rejectionOf(dial(server.port, { addressFamily: "inet6" }, { host: "localhost" }));
  expect(failure.code).toBe("connect-failed");
  expect(failure.message).not.toContain("127.0.0.1");
});

describe("`connectionAttempts`", () => {
  test("tries again, a second apart, until somebody listens", async () => {
    const port = await freePort();
    const server = createServer((client) => client.on("error", () => {}).resume());
    await hearing("once more", (refused) =>
      withFakeTimeouts(async (pass) => {
        const dialling = dial(port, { connectionAttempts: 2 });
        await refused;
        server.listen(port, "127.0.0.1");
        await once(server, "listening");
        pass(1_000);
        await (await dialling).close();
      }),
    );
    server.close();
    await once(server, "close");
  });

  test("is not more than it says, and one by default", async () => {
    const port = await freePort();
    expect(await rejectionOf(dial(port))).toMatchObject({ code: "connect-failed" });
    await hearing("once more", (refused) =>
      withFakeTimeouts(async (pass) => {
        const failing = rejectionOf(dial(port, { connectionAttempts: 2 }));
        await refused;
        pass(1_000);
        expect((await failing).cause).toMatchObject({ code: "ECONNREFUSED" });
      }),
    );
  });

  test("does not help a name that nobody knows", async () => {
    // A second attempt would wait for a second that never passes.
    await withFakeTimeouts(async () => {
      const failure = await rejectionOf(dial(22, { connectionAttempts: 5 }, { host: "no-such-box.invalid" }));
      expect(failure.code).toBe("connect-failed");
    });
  });

  test("is given up between two, too", async () => {
    const port = await freePort();
    const giveUp = new AbortController();
    await hearing("once more", async (refused) => {
      await leavesNoTrace(async () => {
        const failing = rejectionOf(dial(port, { connectionAttempts: 1_000 }, { signal: giveUp.signal }));
        await refused;
        giveUp.abort();
        expect(await failing).toMatchObject({ code: "aborted" });
      });
    });
  });
});

/** What Node keeps of a TCP connection. What it was told can be asked of nothing else. */
interface Handle {
  setKeepAlive(on: boolean, delay: number): unknown;
}

test.each([
  [{}, [true]],
  [{ tcpKeepAlive: true }, [true]],
  [{ tcpKeepAlive: false }, []],
])("%j: the system is told %j about keepalives", async (options, told) => {
  await using server = await RawServer.start(() => {});
  const some = connectSocket(server.port, "127.0.0.1");
  await once(some, "connect");
  const kind: Handle = Object.getPrototypeOf((some as unknown as { _handle: Handle })._handle);
  some.destroy();
  const spy = vi.spyOn(kind, "setKeepAlive");
  onTestFinished(() => spy.mockRestore());
  const way = await dial(server.port, options);
  expect(spy.mock.calls.map(([on]) => on)).toEqual(told);
  await way.close();
});
