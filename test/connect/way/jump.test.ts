import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { connect } from "../../../src/connect/connect.ts";
import type { ConnectOptions, HostKeyPrompt } from "../../../src/connect/connect-options.ts";
import type { Connection } from "../../../src/contract/connection.ts";
import { type EmbeddedTestServer, startEmbedded } from "../../servers/embedded.ts";
import { startOpenSsh } from "../../servers/openssh.ts";
import type { TestServer } from "../../servers/server.ts";
import { freePort } from "../../servers/spawn-server.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";
import { startProxy } from "../../tools/proxy.ts";
import { rejectionOf } from "../failure-of.ts";
import { hearing, withFakeTimeouts } from "../fake-timeouts.ts";
import { destinationOf, optionsFor } from "../login.ts";
import { RawServer } from "../raw-server.ts";
import { Scratch } from "../scratch.ts";
import { leavesNoTrace } from "../traces.ts";
import { entry, homeFor, hopOf, output } from "./hops.ts";

afterEach(() => vi.unstubAllEnvs());

/** The user's own configuration is none of these tests' business. */
const NO_FILE: ConnectOptions = { configFile: "none" };

/** Connects to `box` through `hops`, which are known to the home that is there. */
function through(hops: readonly TestServer[], box: TestServer, more: ConnectOptions = {}, signal?: AbortSignal) {
  const options = { identityFile: box.identityFile, proxyJump: hops.map(hopOf).join(","), ...more };
  return connect(destinationOf(box), optionsFor(box, options), signal);
}

/** Servers in this process, and a home from which each can be logged in to. */
async function embeddedChain(count: number, options: Parameters<typeof startEmbedded>[0] = {}) {
  const servers = await Promise.all(Array.from({ length: count }, () => startEmbedded(options)));
  const home = await homeFor(...servers);
  return {
    servers: servers as [EmbeddedTestServer, EmbeddedTestServer, EmbeddedTestServer],
    [Symbol.asyncDispose]: async () => {
      for (const server of [...servers].reverse()) await server[Symbol.asyncDispose]();
      await home[Symbol.asyncDispose]();
    },
  };
}

describe.skipIf(!hasTier("accounts"))("real servers", () => {
  // Whatever stands in somebody's rc files is none of these tests' business.
  const start = (options: readonly string[] = []) => startOpenSsh({ options, account: { home: "/" } });

  test("two jump hosts are gone through, and nothing stays", async () => {
    await using first = await start();
    await using second = await start();
    await using box = await start();
    await using _home = await homeFor(first, second);
    await leavesNoTrace(async () => {
      const connection = await through([first, second], box);
      expect(connection.name).toBe(hopOf(box));
      expect(await output(connection, "echo hello")).toBe("hello\n");
      await connection.close();
    });
    for (const server of [first, second, box]) {
      await eventually(() => server.sessionPids().length === 0, { what: "the server to be left alone" });
    }
  });

  test.each([
    ["", []],
    [", while both servers ask for new keys", ["RekeyLimit 1M"]],
  ])("bytes come through unchanged, in both directions%s", async (_how, lines) => {
    await using hop = await start(lines);
    await using box = await start(lines);
    await using _home = await homeFor(hop);
    await using connection = await through([hop], box);
    const { stdin, stdout, stderr } = await connection.exec("cat");
    stderr.resume();
    const sent = Buffer.from(Array.from({ length: 6_000_000 }, (_, index) => (index * 31) % 251));
    stdin.end(sent);
    expect(Buffer.concat(await stdout.toArray()).equals(sent)).toBe(true);
  });

  test.each(["AllowTcpForwarding no", "PermitOpen 127.0.0.1:1", "DisableForwarding yes", "AllowTcpForwarding remote"])(
    "a hop with %s is named, and the option too",
    async (line) => {
      await using hop = await start([line]);
      await using box = await start();
      await using _home = await homeFor(hop);
      const failure = await leavesNoTrace(() => rejectionOf(through([hop], box)));
      expect(failure.code).toBe("forward-forbidden");
      expect(failure.message).toContain(`The jump host ${hopOf(hop)} forbids connections to ${hopOf(box)}.`);
      expect(failure.hint).toContain(line.split(" ")[0]);
    },
  );

  test("a box that the hop does not reach", async () => {
    await using hop = await start();
    await using box = await start();
    await using _home = await homeFor(hop);
    const nobody = { ...destinationOf(box), port: await freePort() };
    const options = optionsFor(box, { proxyJump: hopOf(hop) });
    const failure = await leavesNoTrace(() => rejectionOf(connect(nobody, options)));
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain(
      `${hopOf(nobody)} cannot be reached from the jump host ${hopOf(hop)}: Connection refused.`,
    );
  });

  test("a name that only the hop knows is looked up there", async () => {
    await using hop = await start();
    await using _home = await homeFor(hop);
    const failure = await rejectionOf(connect("ann@no-such-box.invalid", { ...NO_FILE, proxyJump: hopOf(hop) }));
    expect(failure).toMatchObject({ code: "connect-failed" });
    expect(failure.message).toContain(`cannot be reached from the jump host ${hopOf(hop)}: `);
  });

  test("a hop that only the system's ssh can connect to is connected to by it", async () => {
    await using hop = await start();
    await using box = await start();
    await using scratch = await Scratch.make();
    const trusted = `KnownHostsCommand /bin/cat ${hop.knownHostsFile}`;
    const configFile = await scratch.put(
      "ssh_config",
      [entry("hop", { ...hop, knownHostsFile: "none" }, trusted), entry("box", box, "ProxyJump hop")].join("\n"),
    );
    const notices: string[] = [];
    await leavesNoTrace(async () => {
      const connection = await connect("box", { configFile, onNotice: (text) => void notices.push(text) });
      expect(await output(connection, "echo hello")).toBe("hello\n");
      const lost = once(connection.lost, "abort");
      hop.killSessions("SIGKILL");
      await lost;
      expect(connection.lost.reason.message).toContain(`broke with that to a jump host`);
      await connection.close();
    });
    expect(notices).toEqual([expect.stringContaining("KnownHostsCommand")]);
  });

  test("a hop that dies is named", async () => {
    await using first = await start();
    await using second = await start();
    await using box = await start();
    await using _home = await homeFor(first, second);
    const connection = await through([first, second], box);
    const waiting = await connection.exec("cat");
    const lost = once(connection.lost, "abort");
    first.killSessions("SIGKILL");
    await lost;
    expect(connection.lost.reason).toMatchObject({ code: "connection-lost" });
    expect(connection.lost.reason.message).toContain(
      `The connection to ${hopOf(box)} broke with that to a jump host. The connection to ${hopOf(first)} broke: `,
    );
    expect(connection.lost.reason.message.match(/broke with/g)).toHaveLength(1);
    await waiting.exited;
    await connection.close();
  });
});

describe("what a hop is asked for is its own affair", () => {
  test("in batch mode nobody is asked for it", async () => {
    await using chain = await embeddedChain(2, { user: "ann", authorizedKeys: [], passwords: { ann: "sesame" } });
    const [hop, box] = chain.servers;
    const password = vi.fn(() => "sesame");
    const failure = await rejectionOf(through([hop], box, { password, batchMode: true }));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toContain(`at jump host ${hopOf(hop)}: `);
    expect(password).not.toHaveBeenCalled();
  });

  test("its key, its name and its host key come from its own configuration", async () => {
    await using chain = await embeddedChain(2);
    const [hop, box] = chain.servers;
    // Whatever is said about the box would shut the hop out.
    const more = { hostKeyFingerprints: [box.hostKeyFingerprint], userKnownHostsFile: [], hostKeyAlias: "elsewhere" };
    await using connection = await through([hop], box, more);
    expect(await output(connection, "echo hello")).toBe("hello\n");
  });

  test("whoever is asked for the box is asked for the hop, and the clock stands still meanwhile", async () => {
    const passwords = { ann: "sesame" };
    await using chain = await embeddedChain(2, { user: "ann", authorizedKeys: [], passwords });
    const [hop, box] = chain.servers;
    const asked: string[] = [];
    await withFakeTimeouts(async (pass) => {
      const password = ({ user }: { user: string }) => {
        asked.push(user);
        pass(1_000_000);
        return "sesame";
      };
      await using connection = await through([hop], box, { password });
      expect(connection.name).toBe(hopOf(box));
    });
    expect(asked).toEqual(["ann", "ann"]);
  });
});

describe("an unknown host key of a hop", () => {
  test("is asked about, and the clock stands still meanwhile", async () => {
    await using chain = await embeddedChain(2);
    const [hop, box] = chain.servers;
    await using home = await homeFor();
    await home.put(".ssh/id_ed25519", hop.privateKey);
    const asked: string[] = [];
    await withFakeTimeouts(async (pass) => {
      const confirmHostKey = ({ host, port, fingerprint }: HostKeyPrompt) => {
        asked.push(`${host}:${port} ${fingerprint}`);
        pass(1_000_000);
        return true;
      };
      await using connection = await through([hop], box, { confirmHostKey });
      expect(connection.name).toBe(hopOf(box));
    });
    expect(asked).toEqual([`127.0.0.1:${hop.port} ${hop.hostKeyFingerprint}`]);
    expect(await readFile(home.path(".ssh/known_hosts"), "utf8")).toContain(`[127.0.0.1]:${hop.port} ssh-ed25519 `);
  });

  test("is refused where nobody may be asked", async () => {
    await using chain = await embeddedChain(2);
    const [hop, box] = chain.servers;
    await using home = await homeFor();
    await home.put(".ssh/id_ed25519", hop.privateKey);
    const confirmHostKey = vi.fn(() => true);
    const failure = await rejectionOf(through([hop], box, { confirmHostKey, batchMode: true }));
    expect(failure.code).toBe("host-key-unknown");
    expect(failure.message).toContain(`at jump host ${hopOf(hop)}: `);
    expect(confirmHostKey).not.toHaveBeenCalled();
  });
});

describe("failures on the way name the hop and where it was to lead", () => {
  test("a hop where nobody listens", async () => {
    await using chain = await embeddedChain(1);
    const [box] = chain.servers;
    const nobody = { host: "127.0.0.1", port: await freePort(), user: "ann" };
    const options = optionsFor(box, { proxyJump: hopOf(nobody) });
    const failure = await leavesNoTrace(() => rejectionOf(connect(destinationOf(box), options)));
    expect(failure.code).toBe("connect-failed");
    expect(failure.message).toContain(`On the way to ${hopOf(box)}, at jump host ${hopOf(nobody)}: `);
    expect(failure.message).toContain("ECONNREFUSED");
    expect(failure.hint).toContain("Nothing listens there");
  });

  test("the first of two, told once", async () => {
    await using chain = await embeddedChain(2);
    const [second, box] = chain.servers;
    await using stranger = await startEmbedded();
    const failure = await leavesNoTrace(() => rejectionOf(through([stranger, second], box)));
    expect(failure.code).toBe("host-key-unknown");
    expect(failure.message.match(/On the way to/g)).toHaveLength(1);
    expect(failure.message).toContain(`On the way to ${hopOf(box)}, at jump host ${hopOf(stranger)}: `);
  });

  test("one that lets nobody in", async () => {
    await using chain = await embeddedChain(2);
    const [hop, box] = chain.servers;
    const failure = await leavesNoTrace(() => rejectionOf(through([{ ...hop, user: "nobody-here" }], box)));
    expect(failure.code).toBe("auth-failed");
    expect(failure.message).toContain(`On the way to ${hopOf(box)}, at jump host nobody-here@`);
  });

  test("one that connects nobody further", async () => {
    await using chain = await embeddedChain(2, { allowTcpForwarding: false });
    const [hop, box] = chain.servers;
    const failure = await leavesNoTrace(() => rejectionOf(through([hop], box)));
    expect(failure.code).toBe("forward-forbidden");
  });
});

describe("jump hosts without an end", () => {
  test("a box that is its own jump host", async () => {
    const failure = await rejectionOf(connect("ann@127.0.0.1", { ...NO_FILE, proxyJump: "ann@127.0.0.1:22" }));
    expect(failure.code).toBe("config-error");
    expect(failure.message).toContain("ann@127.0.0.1:22 is to be reached through itself");
    expect(failure.hint).toContain("ProxyJump none");
  });

  test("a circle of two", async () => {
    const failure = await rejectionOf(connect("ann@a", { ...NO_FILE, proxyJump: "ann@a,ann@b" }));
    expect(failure.code).toBe("config-error");
    expect(failure.message).toContain("go in a circle: ann@a:22 via ann@b:22 via ann@a:22.");
  });

  test.each<[what: string, config: string, chain: RegExp]>([
    [
      "two boxes of a configuration that lead to each other",
      "Host a\nHostName 127.0.0.1\nUser ann\nProxyJump b\nHost b\nHostName 127.0.0.2\nUser bob\nProxyJump a\n",
      /ann@127\.0\.0\.1:22 via bob@127\.0\.0\.2:22 via ann@127\.0\.0\.1:22/,
    ],
    [
      "a jump host for every box, itself too, under another name",
      "Host bastion\nHostName 127.0.0.2\nUser bob\nHost *\nUser ann\nProxyJump bastion\n",
      /ann@a:22 via bob@127\.0\.0\.2:22 via bob@127\.0\.0\.2:22/,
    ],
  ])("%s", async (_what, config, chain) => {
    await using scratch = await Scratch.make();
    const configFile = await scratch.put("ssh_config", config);
    for (const backend of ["ssh2", "openssh"] as const) {
      const failure = await leavesNoTrace(() => rejectionOf(connect("a", { configFile, backend })));
      expect(failure.code).toBe("config-error");
      expect(failure.message).toMatch(chain);
    }
  });

  test("more than anybody needs", async () => {
    const proxyJump = Array.from({ length: 17 }, (_, index) => `ann@hop${index}`).join(",");
    const failure = await rejectionOf(connect("ann@a", { ...NO_FILE, proxyJump }));
    expect(failure.code).toBe("config-error");
    expect(failure.message).toContain("The jump hosts are more than 16: ann@a:22 via ann@hop16:22 via");
  });
});

describe("a hop, or the box behind it, that says nothing", () => {
  const connectTimeoutMs = 20_000;

  test("a silent hop: the deadline of the whole names it", async () => {
    await using chain = await embeddedChain(1);
    const [box] = chain.servers;
    await using hop = await RawServer.start(() => {});
    const proxyJump = `ann@127.0.0.1:${hop.port}`;
    await leavesNoTrace(() =>
      withFakeTimeouts(async (pass) => {
        const failing = rejectionOf(connect(destinationOf(box), optionsFor(box, { proxyJump, connectTimeoutMs })));
        await eventually(() => hop.received > 0, { what: "the client to speak" });
        pass(connectTimeoutMs);
        const failure = await failing;
        expect(failure.code).toBe("connect-failed");
        expect(failure.message).toContain(`${hopOf(box)} did not become ready within ${connectTimeoutMs} ms.`);
        expect(failure.message).toContain(`The jump host ${proxyJump} on the way to it did not get past banner.`);
      }),
    );
    await eventually(() => hop.clients === 0, { what: "the hop to be left alone" });
  });

  test("a silent box", async () => {
    await using chain = await embeddedChain(1);
    const [hop] = chain.servers;
    await using box = await RawServer.start(() => {});
    await leavesNoTrace(() =>
      withFakeTimeouts(async (pass) => {
        const failing = rejectionOf(
          connect(
            { host: "127.0.0.1", port: box.port, user: "ann" },
            { ...NO_FILE, proxyJump: hopOf(hop), connectTimeoutMs },
          ),
        );
        await eventually(() => box.received > 0, { what: "the client to speak" });
        pass(connectTimeoutMs);
        expect((await failing).message).toContain(`ann@127.0.0.1:${box.port} did not get past banner within`);
      }),
    );
    await eventually(() => hop.embedded.connections === 0, { what: "the hop to be left alone" });
  });

  test("a hop that does not answer the request for a connection", async () => {
    await using chain = await embeddedChain(2);
    const [hop, box] = chain.servers;
    hop.embedded.hangAt = "channel";
    await hearing("ready after", (ready) =>
      withFakeTimeouts(async (pass) => {
        const failing = rejectionOf(through([hop], box, { connectTimeoutMs }));
        await ready;
        await new Promise(setImmediate);
        pass(connectTimeoutMs);
        expect((await failing).message).toContain(`${hopOf(box)} did not get past dialling within`);
      }),
    );
    await eventually(() => hop.embedded.connections === 0, { what: "the hop to be left alone" });
  });

  test("a link that goes silent behind the hop: keepalives notice, and the hop is left alone", async () => {
    await using chain = await embeddedChain(2);
    const [hop, box] = chain.servers;
    await using link = await startProxy(box);
    const options = {
      proxyJump: hopOf(hop),
      identityFile: box.identityFile,
      hostKeyFingerprints: [box.hostKeyFingerprint],
      serverAliveIntervalMs: 50,
      serverAliveCountMax: 2,
    };
    const connection = await connect({ ...destinationOf(box), port: link.port }, optionsFor(box, options));
    const lost = once(connection.lost, "abort");
    link.freeze();
    await lost;
    expect(connection.lost.reason.message).toContain("no answer to keepalives");
    await eventually(() => hop.embedded.connections === 0, { what: "the hop to be left alone" });
    await connection.close();
    await link.close();
    await box.stop({ leftovers: "end" });
  });
});

describe("a caller who gives up", () => {
  test("while the hop is silent", async () => {
    const giveUp = new AbortController();
    await using hop = await RawServer.start(() => giveUp.abort());
    const failure = await leavesNoTrace(() =>
      rejectionOf(connect("ann@box", { ...NO_FILE, proxyJump: `ann@127.0.0.1:${hop.port}` }, giveUp.signal)),
    );
    expect(failure).toMatchObject({ code: "aborted" });
    await eventually(() => hop.clients === 0, { what: "the hop to be left alone" });
  });

  test.each(["auth", "channel"] as const)("while the hop hangs at %s", async (phase) => {
    await using chain = await embeddedChain(2);
    const [hop, box] = chain.servers;
    hop.embedded.hangAt = phase;
    const giveUp = new AbortController();
    await leavesNoTrace(async () => {
      const failing = rejectionOf(through([hop], box, {}, giveUp.signal));
      await eventually(() => hop.embedded.connections === 1, { what: "the hop to be there" });
      giveUp.abort();
      expect(await failing).toMatchObject({ code: "aborted" });
    });
    await eventually(() => hop.embedded.connections === 0, { what: "the hop to be left alone" });
    expect(box.embedded.accepted).toBe(0);
  });

  test("while the box behind it is silent", async () => {
    await using chain = await embeddedChain(1);
    const [hop] = chain.servers;
    const giveUp = new AbortController();
    await using box = await RawServer.start(() => giveUp.abort());
    const destination = { host: "127.0.0.1", port: box.port, user: "ann" };
    const failure = await leavesNoTrace(() =>
      rejectionOf(connect(destination, { ...NO_FILE, proxyJump: hopOf(hop) }, giveUp.signal)),
    );
    expect(failure).toMatchObject({ code: "aborted" });
    await eventually(() => hop.embedded.connections === 0 && box.clients === 0, { what: "both to be left alone" });
  });
});

test("a connection is closed before those that it goes through", async () => {
  await using chain = await embeddedChain(3);
  const [first, second, box] = chain.servers;
  const lines: string[] = [];
  const connection: Connection = await through([first, second], box);
  await hearing("", async () => {
    const debug = await import("debug");
    const { log } = debug.default;
    debug.default.log = (line: string, ...more: unknown[]) => void lines.push([line, ...more].join(" "));
    await connection.close();
    debug.default.log = log;
  });
  const order = lines.flatMap((line) => /The connection to (\S+) was closed/.exec(line)?.[1] ?? []);
  expect(order).toEqual([box, second, first].map(hopOf));
});
