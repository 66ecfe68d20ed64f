import { describe, expect, test, vi } from "vitest";
import { resolveSettings } from "../../src/connect/config/resolve-settings.ts";
import { readDestination } from "../../src/connect/destination.ts";
import { doorOf, identityOf } from "../../src/connect/pool/identity.ts";
import { Resolutions } from "../../src/connect/pool/resolutions.ts";
import { ConnectionPool } from "../../src/connect/pool.ts";
import type { Settings } from "../../src/connect/settings.ts";
import { startEmbedded } from "../servers/embedded.ts";
import { rejectionOf } from "./failure-of.ts";
import { optionsFor } from "./login.ts";
import { RawServer } from "./raw-server.ts";

vi.mock("../../src/connect/config/resolve-settings.ts", () => ({ resolveSettings: vi.fn() }));
const resolve = vi.mocked(resolveSettings);

const SETTINGS: Settings = {
  alias: "build",
  target: { host: "10.0.0.7", port: 22, user: "deploy" },
  options: { identityFile: ["/keys/a"], connectTimeoutMs: 1000 },
  needsOpenSsh: [],
};

describe("the identity of a connection", () => {
  test.each<[what: string, other: Partial<Settings>]>([
    ["another name for the same box", { alias: "build-7" }],
    ["another patience", { options: { identityFile: ["/keys/a"], connectTimeoutMs: 5, serverAliveCountMax: 9 } }],
    ["another order of options", { options: { connectTimeoutMs: 1000, identityFile: ["/keys/a"] } }],
  ])("is the same for %s", (_what, other) => {
    expect(identityOf({ ...SETTINGS, ...other })).toBe(identityOf(SETTINGS));
  });

  test.each<[what: string, other: Partial<Settings>]>([
    ["another box", { target: { ...SETTINGS.target, host: "10.0.0.8" } }],
    ["another port", { target: { ...SETTINGS.target, port: 2222 } }],
    ["another user", { target: { ...SETTINGS.target, user: "root" } }],
    ["another key", { options: { identityFile: ["/keys/b"] } }],
    ["another name in known_hosts", { options: { ...SETTINGS.options, hostKeyAlias: "seven" } }],
    ["another way", { options: { ...SETTINGS.options, proxyJump: "bastion" } }],
    ["another program", { needsOpenSsh: ["certificates"] }],
  ])("differs for %s", (_what, other) => {
    expect(identityOf({ ...SETTINGS, ...other })).not.toBe(identityOf(SETTINGS));
  });

  test.each<[what: string, settings: Partial<Settings>]>([
    ["the system's ssh is needed", { needsOpenSsh: ["certificates"] }],
    ["the system's ssh is asked for", { options: { backend: "openssh" } }],
    ["a proxy command asks for it", { options: { proxyCommand: "nc %n %p" } }],
  ])("has the name in it where %s", (_what, settings) => {
    const one = identityOf({ ...SETTINGS, ...settings });
    expect(identityOf({ ...SETTINGS, ...settings, alias: "build-7" })).not.toBe(one);
  });

  test("is not the name's where a proxy command has a percent sign only", () => {
    const settings = { ...SETTINGS, options: { proxyCommand: "nc %%n" } };
    expect(identityOf({ ...settings, alias: "build-7" })).toBe(identityOf(settings));
  });
});

test("the door of a box behind others is the first of them", () => {
  expect(doorOf(SETTINGS)).toBe("10.0.0.7:22");
  const behind = (host: string) => ({
    ...SETTINGS,
    target: { ...SETTINGS.target, host },
    options: { proxyJump: "a,b" },
  });
  expect(doorOf(behind("x"))).toBe(doorOf(behind("y")));
});

test("the identity has the jump hosts in it, as their configuration has them", () => {
  const bastion = (host: string, patience = {}) => ({
    ...SETTINGS,
    alias: "bastion",
    target: { host, port: 22, user: "ann" },
    options: patience,
  });
  const settings = { ...SETTINGS, options: { proxyJump: "bastion" } };
  const through = (host: string, patience = {}) => identityOf(settings, [bastion(host, patience)]);
  expect(through("10.0.0.2")).not.toBe(through("10.0.0.3"));
  expect(through("10.0.0.2", { connectTimeoutMs: 5 })).toBe(through("10.0.0.2"));
});

describe("what a name means", () => {
  test("is read once for all who come together, and again after a while", async () => {
    resolve.mockReset().mockResolvedValue(SETTINGS);
    const resolutions = new Resolutions({});
    await Promise.all([1, 2, 3].map(() => resolutions.resolve({ host: "build" })));
    expect(resolve).toHaveBeenCalledTimes(1);
    await resolutions.resolve({ host: "build", user: "root" });
    expect(resolve).toHaveBeenCalledTimes(2);
    const now = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 2_000);
    await resolutions.resolve({ host: "build" });
    now.mockRestore();
    expect(resolve).toHaveBeenCalledTimes(3);
  });

  test("is read again after a failure", async () => {
    resolve.mockReset().mockRejectedValueOnce(new TypeError("no")).mockResolvedValue(SETTINGS);
    const resolutions = new Resolutions({});
    await expect(resolutions.resolve({ host: "build" })).rejects.toThrow("no");
    expect((await resolutions.resolve({ host: "build" })).settings).toBe(SETTINGS);
  });
});

test("two names of one box share a connection, and one name that leads to two boxes does not", async () => {
  await using one = await startEmbedded();
  await using other = await startEmbedded();
  const settingsOf = (server: typeof one): Settings => ({
    alias: "build",
    target: { host: server.host, port: server.port, user: server.user },
    options: { ...optionsFor(server), identityFile: server.identityFile },
    needsOpenSsh: [],
  });
  resolve
    .mockReset()
    .mockImplementation(async (destination) => settingsOf(readDestination(destination).host === "other" ? other : one));
  await using pool = new ConnectionPool();
  const leases = [await pool.lease("build"), await pool.lease("build-7"), await pool.lease("other")];
  expect(leases[0]?.connection.box).toBe(leases[1]?.connection.box);
  expect([one.embedded.accepted, other.embedded.accepted]).toEqual([1, 1]);
  // The name leads elsewhere from now on. Whoever has a lease keeps it.
  resolve.mockImplementation(async () => settingsOf(other));
  const now = vi.spyOn(performance, "now").mockReturnValue(performance.now() + 2_000);
  const moved = await pool.lease("build");
  now.mockRestore();
  expect(moved.connection.name).toBe(leases[2]?.connection.name);
  expect(leases[0]?.connection.lost.aborted).toBe(false);
  expect([one.embedded.accepted, other.embedded.accepted]).toEqual([1, 1]);
});

test("a box behind a jump host is another one when the jump host's name leads elsewhere", async () => {
  const bastion = { ...SETTINGS, alias: "bastion", target: { host: "10.0.0.2", port: 22, user: "ann" }, options: {} };
  const behind = { ...SETTINGS, options: { proxyJump: "bastion" } };
  const answers: Record<string, Settings> = { build: behind, bastion };
  resolve.mockReset().mockImplementation(async (destination) => {
    const { host } = readDestination(destination);
    return answers[host] ?? Promise.reject(new TypeError(`Nobody knows ${host}.`));
  });
  const identity = async () => (await new Resolutions({}).resolve({ host: "build" })).identity;
  const before = await identity();
  expect(await identity()).toBe(before);
  answers.bastion = { ...bastion, target: { ...bastion.target, host: "10.0.0.3" } };
  const after = await identity();
  expect(after).not.toBe(before);
  // What is wrong with a jump host is for the connecting to tell.
  delete answers.bastion;
  expect(await identity()).not.toBe(after);
});

test("a box that is known is connected to as patiently as was read last", async () => {
  await using silent = await RawServer.start(() => {});
  const patience: Record<string, number> = { build: 40, "build-7": 60 };
  resolve.mockReset().mockImplementation(async (destination) => ({
    ...SETTINGS,
    target: { host: "127.0.0.1", port: silent.port, user: "deploy" },
    options: { connectTimeoutMs: patience[readDestination(destination).host] as number },
  }));
  await using pool = new ConnectionPool();
  expect((await rejectionOf(pool.lease("build"))).message).toContain("within 40 ms");
  expect((await rejectionOf(pool.lease("build-7"))).message).toContain("within 60 ms");
  expect(pool.stats().boxes).toHaveLength(1);
});

test("one who gives up while a name is read disturbs nobody", async () => {
  await using server = await startEmbedded();
  const settings: Settings = {
    alias: "build",
    target: { host: server.host, port: server.port, user: server.user },
    options: { ...optionsFor(server), identityFile: server.identityFile },
    needsOpenSsh: [],
  };
  let answer: (settings: Settings) => void = () => {};
  resolve.mockReset().mockImplementation(
    () =>
      new Promise((done) => {
        answer = done;
      }),
  );
  await using pool = new ConnectionPool();
  const giveUp = new AbortController();
  const one = rejectionOf(pool.lease("build", giveUp.signal));
  const other = pool.lease("build");
  giveUp.abort();
  expect(await one).toMatchObject({ code: "aborted" });
  answer(settings);
  expect((await other).connection.lost.aborted).toBe(false);
});
