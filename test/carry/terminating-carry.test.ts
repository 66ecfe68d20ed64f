import { readdir, stat } from "node:fs/promises";
import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { connect } from "node:net";
import { dirname } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { startTerminatingCarry } from "../../src/carry/terminating-carry.ts";
import { formatAddress, parseAddress } from "../../src/contract/address.ts";
import { createCertificate } from "../../src/handshake/certificates.ts";
import { eventually } from "../tools/eventually.ts";
import { announcement, announcementsIn } from "./announcements.ts";
import { startCarried } from "./carried.ts";

const START = { ":method": "POST", ":path": "/plugin.GRPCBroker/StartStream", "content-type": "application/grpc" };

function echo(session: ClientHttp2Session, text: string): Promise<string> {
  const stream = session.request({ ":method": "POST", ":path": "/echo" });
  stream.end(text);
  return said(stream);
}

function said(stream: ClientHttp2Stream): Promise<string> {
  const pieces: Buffer[] = [];
  return new Promise((resolve, reject) => {
    stream.on("data", (piece: Buffer) => pieces.push(piece));
    stream.on("end", () => resolve(Buffer.concat(pieces).toString()));
    stream.on("error", reject);
    stream.on("close", () => reject(new Error("closed without an answer")));
  });
}

/** What the host hears when the plugin announces a listener of its own. */
async function announcedToHost(host: ClientHttp2Session, id: number, address: string): Promise<string> {
  const stream = host.request({
    ...START,
    "x-announce": announcement({ id, network: "unix", address }).toString("base64"),
  });
  return (await heardOn(stream)).address;
}

async function heardOn(stream: ClientHttp2Stream) {
  let heard = Buffer.alloc(0);
  stream
    .on("error", () => {})
    .on("data", (piece: Buffer) => {
      heard = Buffer.concat([heard, piece]);
    });
  return eventually(() => announcementsIn(heard)[0], { what: "an announcement" });
}

describe.each([
  ["with TLS", true],
  ["in plaintext", false],
])("%s", (_what, tls) => {
  test("each connection of the host's has one to the plugin, and there is none before", async () => {
    await using carried = await startCarried({ tls });
    expect(carried.pluginConnections()).toBe(0);
    const hosts = [carried.dial(), carried.dial(), carried.dial()];
    expect(await Promise.all(hosts.map((host, nth) => echo(host, `host ${nth}`)))).toEqual([
      "host 0",
      "host 1",
      "host 2",
    ]);
    expect(carried.pluginConnections()).toBe(3);
    expect(carried.warnings).toEqual([]);
  });

  test("the plugin's listeners are reached by the host", async () => {
    await using carried = await startCarried({ tls });
    const { path } = await carried.serve("plugin", "echo-1");
    const host = carried.dial();
    const address = await announcedToHost(host, 1, path);
    expect(address).not.toBe(path);
    expect(dirname(address)).toBe(dirname(formatAddress(carried.carry.address)));
    const brokered = carried.dial({ network: "unix", path: address });
    expect(await echo(brokered, "through the broker")).toBe("through the broker");
    expect(await announcedToHost(host, 1, path)).toBe(address);
  });

  test("the host's listeners are reached by the plugin, as long as they are there", async () => {
    await using carried = await startCarried({ tls });
    const served = await carried.serve("host", "helper-1");
    const host = carried.dial();
    const stream = host.request(START);
    stream.write(announcement({ id: 1, network: "unix", address: served.path }));
    const [box] = await eventually(() => carried.boxListeners.size === 1 && [...carried.boxListeners.keys()], {
      what: "the forward",
    });
    const plugin = carried.dialFromPlugin(box as string);
    expect(await echo(plugin, "a call back")).toBe("a call back");
    expect(carried.carry.forwards).toBe(2);
    plugin.destroy();
    await served.close();
    await eventually(() => carried.carry.forwards === 1, {
      what: "the forward's end",
      state: () => carried.carry.forwards,
    });
    expect(carried.warnings).toEqual([]);
  });

  test("announcements inside of a brokered connection are translated too", async () => {
    await using carried = await startCarried({ tls });
    const first = await carried.serve("plugin", "first");
    const second = await carried.serve("plugin", "second");
    const host = carried.dial();
    const brokered = carried.dial({ network: "unix", path: await announcedToHost(host, 1, first.path) });
    const inner = carried.dial({ network: "unix", path: await announcedToHost(brokered, 2, second.path) });
    expect(await echo(inner, "two deep")).toBe("two deep");
  });

  test("closing ends everything and leaves nothing", async () => {
    await using carried = await startCarried({ tls });
    const { path } = await carried.serve("plugin", "echo-1");
    const host = carried.dial();
    await announcedToHost(host, 1, path);
    const directory = dirname(formatAddress(carried.carry.address));
    expect((await stat(directory)).mode & 0o777).toBe(0o700);
    expect(await readdir(directory)).toHaveLength(2);
    const closed = new Promise((resolve) => host.once("close", resolve));
    await carried.carry.close();
    await closed;
    await expect(stat(directory)).rejects.toMatchObject({ code: "ENOENT" });
    await carried.carry.close();
  });

  test("listeners of the plugin's that have gone are not kept, however many there were", async () => {
    await using carried = await startCarried({ tls });
    const host = carried.dial();
    for (let nth = 0; nth < 100; nth++) {
      const { path, close } = await carried.serve("plugin", `brief-${nth}`);
      const address = await announcedToHost(host, nth, path);
      if (nth % 2) {
        const brokered = carried.dial({ network: "unix", path: address });
        expect(await echo(brokered, `brief ${nth}`)).toBe(`brief ${nth}`);
        brokered.destroy();
      }
      void close();
    }
    await eventually(() => carried.carry.forwards <= 34, { what: "few forwards", state: () => carried.carry.forwards });
  }, 120_000);

  test("a plugin that cannot be reached ends the host's connection, with a warning", async () => {
    await using carried = await startCarried({ tls });
    const host = carried.dial();
    const address = await announcedToHost(host, 1, "/nowhere/plugin1");
    const brokered = carried.dial({ network: "unix", path: address });
    await new Promise((resolve) => brokered.once("close", resolve));
    await eventually(() => carried.warnings.length === 1, { what: "the warning" });
    expect(carried.warnings[0]).toMatch(/forward-failed.*\/nowhere\/plugin1/);
  });
});

test("of 1,000 listeners of the host's that came and went none is kept", async () => {
  await using carried = await startCarried({ tls: false });
  const stream = carried.dial().request(START);
  const directory = dirname(formatAddress(carried.carry.address));
  for (let nth = 0; nth < 1_000; nth += 50) {
    const served = await Promise.all(Array.from({ length: 50 }, (_, n) => carried.serve("host", `helper-${nth + n}`)));
    for (const { path } of served) stream.write(announcement({ id: nth, network: "unix", address: path }));
    await eventually(() => carried.boxListeners.size === nth + 50, { what: "the box's listeners", timeoutMs: 20_000 });
    for (const { close } of served) void close();
  }
  const patience = { what: "the end of all", timeoutMs: 20_000, state: () => carried.carry.forwards };
  await eventually(() => carried.carry.forwards === 1, patience);
  expect(await readdir(directory)).toHaveLength(1);
}, 120_000);

test("the host may be given ports instead of unix sockets, for the plugin and for its listeners", async () => {
  await using carried = await startCarried({ tls: true, override: { hostNetwork: "tcp" } });
  expect(carried.carry.address).toMatchObject({ network: "tcp", host: "127.0.0.1" });
  const host = carried.dial();
  expect(await echo(host, "over TCP")).toBe("over TCP");
  const { path } = await carried.serve("plugin", "echo-1");
  const announced = parseAddress("tcp", await announcedToHost(host, 1, path));
  expect(await echo(carried.dial(announced), "brokered over TCP")).toBe("brokered over TCP");
});

describe("who may connect", () => {
  test("only the host whose certificate it was", async () => {
    await using carried = await startCarried({ tls: true });
    const stranger = carried.dial(undefined, createCertificate());
    await new Promise((resolve) => stranger.once("close", resolve));
    await eventually(() => carried.warnings.length === 1, { what: "the warning" });
    expect(carried.warnings[0]).toMatch(/TLS handshake with the host/);
    expect(await echo(carried.dial(), "the host")).toBe("the host");
  });

  test("nobody who does not speak TLS, and nobody who leaves", async () => {
    await using carried = await startCarried({ tls: true });
    const plain = connect({ path: formatAddress(carried.carry.address) });
    plain.on("error", () => {}).write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    await new Promise((resolve) => plain.once("close", resolve));
    for (let nth = 0; nth < 20; nth++) {
      const brief = connect({ path: formatAddress(carried.carry.address) }, () => brief.destroy());
      await new Promise((resolve) => brief.on("error", () => {}).once("close", resolve));
    }
    expect(await echo(carried.dial(), "the host")).toBe("the host");
  });

  test("a plugin with another certificate than its line said is not spoken to", async () => {
    await using carried = await startCarried({ tls: true, pluginSays: createCertificate() });
    const host = carried.dial();
    await new Promise((resolve) => host.once("close", resolve));
    await eventually(() => carried.warnings.length === 1, { what: "the warning" });
    expect(carried.warnings[0]).toMatch(/Somebody else answers/);
  });

  test("whoever it is, whatever the dates in the certificates say", async () => {
    const inTime = (year: number) => {
      vi.useFakeTimers({ toFake: ["Date"], now: new Date(`${year}-01-01`) });
      try {
        return createCertificate();
      } finally {
        vi.useRealTimers();
      }
    };
    const year = new Date().getFullYear();
    await using carried = await startCarried({ tls: true, host: inTime(year + 2), plugin: inTime(year - 40) });
    expect(await echo(carried.dial(), "in another time")).toBe("in another time");
  });
});

describe("what cannot be carried", () => {
  const never = {
    openPluginStream: () => new Promise<never>(() => {}),
    hostToPlugin: () => new Promise<never>(() => {}),
  };
  const pluginAddress = { network: "unix", path: "/tmp/plugin" } as const;

  test("a plugin without TLS for a host that asked for it", async () => {
    const certificate = createCertificate();
    const started = startTerminatingCarry({ ...never, pluginAddress, hostCertificate: certificate.der, certificate });
    await expect(started).rejects.toMatchObject({ code: "handshake-failed" });
  });

  test("anything where no directory can be made", async () => {
    const started = startTerminatingCarry({ ...never, pluginAddress, directoryBase: "/nowhere/at/all" });
    await expect(started).rejects.toMatchObject({ code: "forward-failed" });
  });

  test("TLS of the application's own passes unread", async () => {
    await using carried = await startCarried({ tls: false });
    const socket = connect({ path: formatAddress(carried.carry.address) });
    socket.on("error", () => {}).write(Buffer.from([0x16, 3, 1, 0, 5, 1, 2, 3, 4, 5]));
    await eventually(() => carried.warnings.length === 1, { what: "the warning" });
    expect(carried.warnings[0]).toMatch(/passes unread/);
    socket.destroy();
  });
});
