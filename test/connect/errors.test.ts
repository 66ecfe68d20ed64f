import { once } from "node:events";
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { inspect } from "node:util";
import createDebug from "debug";
import { afterEach, describe, expect, test } from "vitest";
import { connect } from "../../src/connect/connect.ts";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { serverKinds } from "../servers/kinds.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import { freePort } from "../servers/spawn-server.ts";
import { eventually } from "../tools/eventually.ts";
import { startProxy } from "../tools/proxy.ts";
import { rejectionOf } from "./failure-of.ts";
import { hearing, withFakeTimeouts } from "./fake-timeouts.ts";
import { startLocked } from "./locked-key.ts";
import { destinationOf, expectNoSecret, login, loginWithKey, optionsFor, secretsOf } from "./login.ts";
import { offerOnly, RawServer } from "./raw-server.ts";
import { Scratch } from "./scratch.ts";
import { leavesNoTrace } from "./traces.ts";

const NOTHING: ConnectOptions = { configFile: "none", identityAgent: "none", identityFile: [], userKnownHostsFile: [] };
const kinds = serverKinds.filter(({ available }) => available);

/** Connects to a port on this machine with nothing to offer, and expects to fail without a trace. */
async function failureAt(port: number, options: ConnectOptions = {}, signal?: AbortSignal): Promise<PluginError> {
  const destination = { host: "127.0.0.1", port, user: "ann" };
  return leavesNoTrace(() => rejectionOf(connect(destination, { ...NOTHING, ...options }, signal)));
}

describe("nobody there", () => {
  test("a name that does not exist", async () => {
    const failure = await leavesNoTrace(() => rejectionOf(connect("ann@no-such-box.invalid", NOTHING)));
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toMatch(/ann@no-such-box\.invalid:22 cannot be reached: .*no-such-box\.invalid/);
    expect(failure.hint).toMatch(/name/);
  });

  test("a port where nothing listens", async () => {
    const port = await freePort();
    const failure = await failureAt(port);
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain(`ann@127.0.0.1:${port} cannot be reached: connect ECONNREFUSED`);
    expect(failure.hint).toContain("Nothing listens there");
    expect(failure.cause).toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("dropped before the banner", () => {
  test.each<[how: string, drop: (client: Socket) => void]>([
    ["by an end", (client) => client.end()],
    ["by a reset", (client) => client.resetAndDestroy()],
  ])("%s", async (_how, drop) => {
    await using server = await RawServer.start(drop);
    const failure = await failureAt(server.port);
    expect(failure.code).toBe("box-refused");
    expect(failure.hint).toMatch(/MaxStartups/);
    expect(failure.hint).toMatch(/PerSourcePenalties/);
  });

  test("by the embedded server", async () => {
    await using server = await startEmbedded({ dropBeforeBanner: true });
    expect(await rejectionOf(login(server))).toMatchObject({ code: "box-refused" });
  });

  test("with a word about it, which is quoted and made harmless", async () => {
    await using server = await startEmbedded({ dropBeforeBanner: "Exceeded MaxStartups\u001b[2J" });
    const failure = await leavesNoTrace(() => rejectionOf(login(server)));
    expect(failure.code).toBe("box-refused");
    expect(failure.message).toContain("Exceeded MaxStartups");
    expect(failure.message).not.toContain("\u001b");
  });
});

describe("something else than SSH", () => {
  test("that answers and hangs up", async () => {
    await using server = await RawServer.start((client) => client.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
    const failure = await failureAt(server.port);
    expect(failure.code).toBe("box-refused");
    expect(failure.message).toContain('It said "HTTP/1.1 400 Bad Request"');
    expect(failure.hint).toContain("check the port");
  });

  test.each([
    ["one endless line", "x".repeat(10_000)],
    ["endless lines", "x\n".repeat(2_000)],
    ["a lone carriage return", "hello\rthere\n"],
  ])("that sends %s", async (_what, text) => {
    await using server = await RawServer.start((client) => void client.write(text));
    const failure = await failureAt(server.port);
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain("does not speak SSH");
    expect(failure.message.length).toBeLessThan(1_000);
    expect(failure.hint).toContain("Check the port");
  });

  test("that has a banner of SSH 1", async () => {
    await using server = await RawServer.start((client) => void client.write("SSH-1.5-old\r\n"));
    const failure = await failureAt(server.port);
    expect(failure).toMatchObject({ code: "connect-failed" });
    expect(failure.message).toContain("ended during key exchange");
  });

  test("that has a banner and then garbage", async () => {
    await using server = await RawServer.start((client) => {
      client.write("SSH-2.0-odd\r\n");
      client.write(Buffer.alloc(64, 0xff));
    });
    const failure = await failureAt(server.port);
    expect(failure).toMatchObject({ code: "connect-failed" });
    expect(failure.message).toContain("ended during key exchange");
  });
});

describe("a server that does not stop talking", () => {
  const MIB = 1024 * 1024;

  test.each([
    ["a banner of a mebibyte", `SSH-2.0-${"x".repeat(MIB)}\r\n`],
    ["a line of a mebibyte before its banner", `${"x".repeat(MIB)}\r\nSSH-2.0-late\r\n`],
    ["a mebibyte of lines before its banner", `${"x\r\n".repeat(MIB / 3)}SSH-2.0-late\r\n`],
  ])("%s", async (_what, text) => {
    await using server = await RawServer.start((client) => void client.write(text));
    const failure = await failureAt(server.port);
    expect(failure.code).toBe("connect-failed");
    expect(failure.message.length).toBeLessThan(1_000);
    await eventually(() => server.clients === 0, { what: "the server to be left alone" });
  });

  test("words without an end before its banner: little of them is read", async () => {
    let written = 0;
    await using server = await RawServer.start((client) => {
      const talk = () => {
        while (!client.destroyed && client.write("x".repeat(65_536))) written += 65_536;
      };
      client.on("drain", talk);
      talk();
    });
    expect(await failureAt(server.port)).toMatchObject({ code: "connect-failed" });
    await eventually(() => server.clients === 0, { what: "the server to be left alone" });
    // What the system keeps for a socket is among it.
    expect(written).toBeLessThan(32 * MIB);
  });

  test.skipIf(!kinds.some(({ name }) => name === "openssh"))(
    "a real one, with a text of a mebibyte at the login",
    async () => {
      await using scratch = await Scratch.make();
      const banner = await scratch.put("banner", "x\n".repeat(MIB / 2), 0o644);
      await using server = await startOpenSsh({ options: [`Banner ${banner}`] });
      const failure = await leavesNoTrace(() => rejectionOf(loginWithKey(server)));
      expect(failure).toMatchObject({ code: "connect-failed" });
      expect(failure.message).toContain("ended during authentication");
      expect(failure.message.length).toBeLessThan(1_000);
    },
  );
});

test("no algorithm in common: said which kind, and what to do", async () => {
  await using server = await RawServer.start((client) => {
    client.write("SSH-2.0-old\r\n");
    client.write(offerOnly("rot13"));
  });
  const failure = await failureAt(server.port);
  expect(failure.code).toBe("connect-failed");
  expect(failure.message).toMatch(/ended during key exchange: .*no matching key exchange algorithm/);
  expect(failure.hint).toContain("only algorithms that ssh2 does not have");
});

test("the server ends the connection in the middle of the key exchange", async () => {
  await using server = await RawServer.start((client) => {
    client.write("SSH-2.0-moody\r\n");
    client.once("data", () => client.end());
  });
  const failure = await failureAt(server.port);
  expect(failure.code).toBe("connect-failed");
  expect(failure.message).toContain("ended during key exchange: the server closed the connection");
});

describe("a server that hangs", () => {
  const connectTimeoutMs = 20_000;

  /** Lets the time pass when the server has received `bytes`, and gives the failure. */
  async function failureAfter(bytes: number, onClient: (client: Socket) => void): Promise<PluginError> {
    await using server = await RawServer.start(onClient);
    let failing: Promise<PluginError> | undefined;
    await withFakeTimeouts(async (pass) => {
      failing = failureAt(server.port, { connectTimeoutMs });
      failing.catch(() => {});
      await eventually(() => server.received > bytes, { what: "the client to speak" });
      pass(connectTimeoutMs);
    });
    const failure = await (failing as Promise<PluginError>);
    expect(failure.code).toBe("connect-failed");
    expect(failure.hint).toContain("`connectTimeoutMs`");
    expect(server.clients).toBe(0);
    return failure;
  }

  test("before its banner", async () => {
    const failure = await failureAfter(0, () => {});
    expect(failure.message).toContain(`did not get past banner within ${connectTimeoutMs} ms`);
  });

  test("in the middle of other words", async () => {
    const failure = await failureAfter(0, (client) => void client.write("Welcome\r\n"));
    expect(failure.message).toContain("did not get past banner");
  });

  test("after its banner", async () => {
    const failure = await failureAfter(100, (client) => void client.write("SSH-2.0-slow\r\n"));
    expect(failure.message).toContain("did not get past key exchange");
  });

  test("at the login", async () => {
    await using server = await startEmbedded({ hangAt: "auth" });
    await hearing("curve25519", (handshake) =>
      withFakeTimeouts(async (pass) => {
        const failing = rejectionOf(loginWithKey(server, { connectTimeoutMs }));
        await handshake;
        pass(connectTimeoutMs);
        const failure = await failing;
        expect(failure.code).toBe("connect-failed");
        expect(failure.message).toContain("did not get past authentication");
      }),
    );
    await eventually(() => server.embedded.connections === 0, { what: "the server to be left alone" });
  });
});

test("a server that does not even notice the end: the socket is gone all the same", async () => {
  const before = sockets();
  await using server = await RawServer.start((client) => void client.pause());
  const destination = { host: "127.0.0.1", port: server.port, user: "ann" };
  const failure = await rejectionOf(connect(destination, { ...NOTHING, connectTimeoutMs: 100 }));
  expect(failure.code).toBe("connect-failed");
  // It may be seen only now that somebody has come.
  await eventually(() => server.clients === 1, { what: "the server's end" });
  // The server's end is in this process too.
  await eventually(() => sockets() === before + 1, { what: "our socket to be closed" });
});

describe("a caller who gives up", () => {
  test("beforehand: nothing is dialled", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      const failure = await rejectionOf(login(server, {}, AbortSignal.abort()));
      expect(failure.code).toBe("aborted");
    });
    expect(server.embedded.accepted).toBe(0);
  });

  test("before the files were read: no timer stays", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      const giveUp = new AbortController();
      const connecting = login(server, {}, giveUp.signal);
      giveUp.abort();
      expect(await rejectionOf(connecting)).toMatchObject({ code: "aborted" });
    });
    expect(server.embedded.accepted).toBe(0);
  });

  test("while waiting for the banner", async () => {
    const giveUp = new AbortController();
    await using server = await RawServer.start(() => giveUp.abort(new RangeError("enough")));
    const failure = await failureAt(server.port, {}, giveUp.signal);
    expect(failure).toMatchObject({ code: "aborted", cause: { message: "enough" } });
    await eventually(() => server.clients === 0, { what: "the server to be left alone" });
  });

  test("during the key exchange", async () => {
    const giveUp = new AbortController();
    await using server = await RawServer.start((client) => {
      client.write("SSH-2.0-slow\r\n");
      let heard = "";
      client.on("data", (chunk) => {
        heard += chunk.toString("latin1");
        if (heard.includes("ssh-connection") || heard.length > 500) giveUp.abort();
      });
    });
    expect(await failureAt(server.port, {}, giveUp.signal)).toMatchObject({ code: "aborted" });
    await eventually(() => server.clients === 0, { what: "the server to be left alone" });
  });

  test("during the login, by a deadline of his own", async () => {
    await using server = await startEmbedded({ hangAt: "auth" });
    await leavesNoTrace(async () => {
      const connecting = login(server, { identityFile: server.identityFile }, AbortSignal.timeout(250));
      expect(await rejectionOf(connecting)).toMatchObject({ code: "timeout" });
    });
    await eventually(() => server.embedded.connections === 0, { what: "the server to be left alone" });
  });

  test("too late: the connection stays", async () => {
    await using server = await startEmbedded();
    const giveUp = new AbortController();
    await using connection = await login(server, { identityFile: server.identityFile }, giveUp.signal);
    giveUp.abort();
    expect(connection.lost.aborted).toBe(false);
    await expect(connection.exec("true").then(({ exited }) => exited)).resolves.toMatchObject({ code: 0 });
  });
});

describe("a connection that breaks", () => {
  test("is told to everyone who waits, at once", async () => {
    await using server = await startEmbedded();
    await using scratch = await Scratch.make();
    await leavesNoTrace(async () => {
      const connection = await loginWithKey(server);
      const running = await connection.exec("cat");
      server.embedded.hangAt = "exec";
      const starting = rejectionOf(connection.exec("true"));
      await eventually(() => server.embedded.channels === 2, { what: "the second session" });
      server.embedded.hangAt = "channel";
      const opening = rejectionOf(connection.openStream({ network: "unix", path: scratch.path("none") }));
      server.embedded.hangAt = "forward";
      const listening = rejectionOf(connection.listen({ network: "tcp", host: "127.0.0.1", port: 0 }, () => {}));
      const lost = once(connection.lost, "abort");
      server.embedded.resetConnections();
      const failures = await Promise.all([starting, opening, listening]);
      await lost;
      expect(failures.map(({ code }) => code)).toEqual(Array(3).fill("connection-lost"));
      expect(connection.lost.reason).toBeInstanceOf(PluginError);
      expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
      for (const failure of failures) expect(failure).toBe(connection.lost.reason);
      expect(await running.exited).toBeUndefined();
      await running.stdout.resume().toArray();
      // Whoever asks later is told the same.
      expect(await rejectionOf(connection.exec("true"))).toBe(connection.lost.reason);
      await connection.close();
    });
    await server.stop({ leftovers: "end" });
  });

  test.each<[how: string, cut: "reset" | "fin"]>([
    ["a reset", "reset"],
    ["an end", "fin"],
  ])("by %s, while bytes flow both ways", async (_how, cut) => {
    await using server = await startEmbedded();
    await using proxy = await startProxy(server);
    const knownHosts = { hostKeyFingerprints: [server.hostKeyFingerprint] };
    await leavesNoTrace(async () => {
      const options = optionsFor(server, { identityFile: server.identityFile, ...knownHosts });
      const connection = await connect({ ...destinationOf(server), port: proxy.port }, options);
      const { stdin, stdout, stderr, exited } = await connection.exec("cat");
      stdin.on("error", () => {});
      stderr.resume();
      let seen = 0;
      stdout.on("data", (chunk: Buffer) => {
        seen += chunk.length;
        stdin.write(chunk);
      });
      stdin.write(Buffer.alloc(512 * 1024));
      await eventually(() => seen > 2 ** 21, { what: "bytes to flow" });
      proxy[cut]();
      expect(await exited).toBeUndefined();
      expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
    });
    await proxy.close();
    await server.stop({ leftovers: "end" });
  });

  test("by silence: keepalives notice", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      await using connection = await loginWithKey(server, { serverAliveIntervalMs: 50, serverAliveCountMax: 2 });
      const lost = once(connection.lost, "abort");
      const waiting = rejectionOf(connection.exec("true"));
      server.embedded.freeze();
      await lost;
      expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
      expect(connection.lost.reason.message).toContain("no answer to keepalives");
      expect(connection.lost.reason.hint).toContain("`serverAliveIntervalMs`");
      expect((await waiting).code).toBe("connection-lost");
      server.embedded.thaw();
    });
    await server.stop({ leftovers: "end" });
  });

  test("keepalives leave a quiet connection alone", async () => {
    await using server = await startEmbedded();
    await using connection = await loginWithKey(server, { serverAliveIntervalMs: 50, serverAliveCountMax: 10 });
    const { exited } = await connection.exec("sleep 1");
    expect(await exited).toEqual({ code: 0, signal: null });
    expect(connection.lost.aborted).toBe(false);
  });

  test("closing is no loss, happens once, and does not wait for a dead link", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      const connection = await loginWithKey(server);
      server.embedded.freeze();
      const starting = rejectionOf(connection.exec("true"));
      const open = sockets();
      const closing = [connection.close(), connection.close()];
      expect(await starting).toMatchObject({ code: "closed" });
      // The goodbye is still under way.
      expect(sockets()).toBe(open);
      await Promise.all(closing);
      expect(await rejectionOf(connection.openStream({ network: "unix", path: "/x" }))).toMatchObject({
        code: "closed",
      });
      await connection.close();
      server.embedded.thaw();
    });
    await server.stop({ leftovers: "end" });
  });
});

describe.each(kinds)("what the server refuses, over $name", ({ start }) => {
  test("a command too many: `MaxSessions` is named, and one that ended makes room", async () => {
    await using server = await start({ maxSessions: 1 });
    await using connection = await loginWithKey(server);
    const first = await connection.exec("cat");
    const failure = await rejectionOf(connection.exec("true"));
    expect(failure.code).toBe("plugin-not-started");
    expect(failure.hint).toContain("MaxSessions");
    first.stdin.end();
    first.stdout.resume();
    first.stderr.resume();
    expect(await first.exited).toEqual({ code: 0, signal: null });
    const again = await eventually(() => connection.exec("exit 3"), { what: "room for another command" });
    again.stdout.resume();
    expect(await again.exited).toEqual({ code: 3, signal: null });
  });

  test("a command of one's own: the forced one runs instead", async () => {
    await using server = await start({ forceCommand: "echo forced" });
    await using connection = await loginWithKey(server);
    const { stdin, stdout } = await connection.exec("echo mine");
    stdin.end();
    expect((await stdout.toArray()).join("")).toBe("forced\n");
  });

  test("connections to a port where nothing listens", async () => {
    await using server = await start();
    await using connection = await loginWithKey(server);
    const port = await freePort();
    const failure = await rejectionOf(connection.openStream({ network: "tcp", host: "127.0.0.1", port }));
    expect(failure.code).toBe("forward-failed");
    expect(failure.message).toContain("Connection refused");
  });

  test("connections to a socket that is not there", async () => {
    await using server = await start();
    await using scratch = await Scratch.make();
    await using connection = await loginWithKey(server);
    const failure = await rejectionOf(connection.openStream({ network: "unix", path: scratch.path("none") }));
    expect(failure.code).toBe("forward-failed");
    expect(failure.hint).toContain("OpenSSH says the same where forwarding is forbidden");
  });

  test("forwards of TCP that are forbidden", async () => {
    await using server = await start({ allowTcpForwarding: false });
    await using connection = await loginWithKey(server);
    await using open = await openPort();
    const at = { network: "tcp", host: "127.0.0.1", port: 0 } as const;
    for (const failure of [
      await rejectionOf(connection.openStream({ ...at, port: open.port })),
      await rejectionOf(connection.listen(at, () => {})),
    ]) {
      expect(failure.code).toBe("forward-forbidden");
      expect(failure.hint).toContain("AllowTcpForwarding");
    }
  });

  test("forwards of unix sockets that are forbidden", async () => {
    await using server = await start({ allowStreamLocalForwarding: false });
    await using scratch = await Scratch.make();
    await using connection = await loginWithKey(server);
    const path = scratch.path("socket");
    const refused = await rejectionOf(connection.listen({ network: "unix", path }, () => {}));
    expect(refused.code).toBe("forward-forbidden");
    expect(refused.hint).toContain("AllowStreamLocalForwarding");
    // Here the server does not tell it from a socket that is not there.
    await using open = await openPort(path);
    expect(open.connections).toBe(0);
    expect((await rejectionOf(connection.openStream({ network: "unix", path }))).code).toBe("forward-failed");
    expect(open.connections).toBe(0);
  });

  test("a listener at a path that is taken, and one of our own twice", async () => {
    await using server = await start();
    await using scratch = await Scratch.make();
    await using connection = await loginWithKey(server);
    const at = { network: "unix", path: scratch.path("taken") } as const;
    await scratch.put("taken", "");
    expect((await rejectionOf(connection.listen(at, () => {}))).code).toBe("forward-forbidden");

    const own = { network: "unix", path: scratch.path("own") } as const;
    const arrived: string[] = [];
    const listener = await connection.listen(own, (stream) => {
      arrived.push("first");
      stream.on("error", () => {}).resume();
      stream.end();
    });
    expect((await rejectionOf(connection.listen(own, () => arrived.push("second")))).code).toBe("forward-failed");
    const visitor = await connection.openStream(own);
    await visitor.resume().end().toArray();
    expect(arrived).toEqual(["first"]);
    await listener.close();
    await scratch[Symbol.asyncDispose]();
  });
});

describe("a request that the server never answers", () => {
  test.each<[what: string, hangAt: "exec" | "channel" | "forward"]>([
    ["to run a command", "exec"],
    ["to connect", "channel"],
    ["to listen", "forward"],
  ])("%s can be given up, and the connection goes on", async (_what, hangAt) => {
    await using server = await startEmbedded({ hangAt });
    const connection = await loginWithKey(server);
    const signal = AbortSignal.timeout(200);
    const at = { network: "tcp", host: "127.0.0.1", port: 0 } as const;
    const asking = {
      exec: () => connection.exec("true", signal),
      channel: () => connection.openStream({ ...at, port: 9 }, signal),
      forward: () => connection.listen(at, () => {}, signal),
    }[hangAt];
    expect(await rejectionOf(asking())).toMatchObject({ code: "timeout" });
    expect(connection.lost.aborted).toBe(false);
    await connection.close();
    await server.stop({ leftovers: "end" });
  });
});

describe("what is printed for debugging", () => {
  const secrets = ["sesame-open-xyzzy", "plugh-hunter2", "code-424242", "wrong-one"] as const;
  const [passphrase, password, code, wrong] = secrets;
  const { log } = createDebug;

  afterEach(() => {
    createDebug.disable();
    createDebug.log = log;
  });

  test("tells what happens, and no secret", async () => {
    const lines: string[] = [];
    createDebug.log = (...words: unknown[]) => void lines.push(words.map((word) => inspect(word)).join(" "));
    createDebug.enable("*");
    await using scratch = await Scratch.make();
    const { server, identityFile } = await startLocked("embedded", scratch, passphrase);
    await using _ = server;
    await (await login(server, { identityFile, passphrase: () => passphrase })).close();
    const questions = { prompts: ["Code: "], answers: [code] };
    await using other = await startEmbedded({
      user: "ann",
      authorizedKeys: [],
      passwords: { ann: password },
      keyboardInteractive: questions,
    });
    await (await loginWithKey(other, { keyboardInteractive: () => [code] })).close();
    const answers = [wrong, password];
    await (await loginWithKey(other, { keyboardInteractive: () => [wrong], password: () => answers.shift() })).close();
    await rejectionOf(login(other, { password: () => wrong }));

    const printed = lines.join("\n");
    for (const namespace of ["connect", "hostkey", "auth"]) expect(printed).toContain(`go-plugin-ssh:${namespace}`);
    expect(printed).toContain("password of ann, attempt 2");
    for (const secret of [...secrets, ...secretsOf(other.privateKey)]) expect(printed).not.toContain(secret);
    expectNoSecret(lines, secrets);
  });
});

/** How many TCP sockets this process has, those of its servers included. */
function sockets(): number {
  return process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length;
}

/** A listener in this process that counts who comes. */
async function openPort(path?: string) {
  let connections = 0;
  const server = createServer((socket) => {
    connections += 1;
    socket.on("error", () => {}).end();
  });
  server.listen(path === undefined ? { host: "127.0.0.1", port: 0 } : { path });
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address ? address.port : 0,
    get connections() {
      return connections;
    },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}
