import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { describe, expect, test, vi } from "vitest";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import { ConnectionPool, type ConnectionPoolOptions } from "../../src/connect/pool.ts";
import type { Connection } from "../../src/contract/connection.ts";
import { later } from "../../src/lifetime/later.ts";
import { type EmbeddedTestServer, startEmbedded } from "../servers/embedded.ts";
import { eventually } from "../tools/eventually.ts";
import { failureOf, rejectionOf } from "./failure-of.ts";
import { hearing, withFakeTimeouts } from "./fake-timeouts.ts";
import { destinationOf, optionsFor } from "./login.ts";
import { leavesNoTrace } from "./traces.ts";

const PASSWORD = "plugh-hunter2";
const LONG_MS = 600_000;

/** A pool that gets into `server`. */
function poolFor(server: EmbeddedTestServer, more: ConnectionPoolOptions = {}): ConnectionPool {
  return new ConnectionPool({
    ...optionsFor(server),
    identityFile: server.identityFile,
    idleTimeoutMs: LONG_MS,
    ...more,
  });
}

/** A server that takes passwords, and a password callback that waits until the test says `open`. */
async function gated(users: readonly string[] = ["ann"]) {
  const gate = later<string>();
  const asked: { user: string; signal: AbortSignal }[] = [];
  const password: NonNullable<ConnectOptions["password"]> = ({ user, signal }) => {
    asked.push({ user, signal });
    return gate.promise;
  };
  const server = await startEmbedded({
    user: users[0] ?? "ann",
    authorizedKeys: [],
    passwords: Object.fromEntries(users.map((user) => [user, PASSWORD])),
  });
  return { server, password, asked, open: () => gate.resolve(PASSWORD) };
}

/** Fails if the connection does not work. */
async function expectToWork(connection: Connection): Promise<void> {
  const { stdin, stdout, stderr, exited } = await connection.exec("exit 7");
  stdin.end();
  stdout.resume();
  stderr.resume();
  expect(await exited).toEqual({ code: 7, signal: null });
}

describe("leases that come together", () => {
  test("share one handshake", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      await using pool = poolFor(server);
      expect(pool.size).toBe(0);
      const leases = await Promise.all(Array.from({ length: 20 }, () => pool.lease(destinationOf(server))));
      expect(server.embedded.accepted).toBe(1);
      expect(pool.size).toBe(1);
      await Promise.all(leases.slice(0, 10).map(({ connection }) => expectToWork(connection)));
    });
  });

  test("one who gives up disturbs nobody", async () => {
    const { server, password, asked, open } = await gated();
    await using _ = server;
    await using pool = poolFor(server, { password });
    const giveUp = new AbortController();
    const one = rejectionOf(pool.lease(destinationOf(server), giveUp.signal));
    const other = pool.lease(destinationOf(server));
    await eventually(() => asked.length === 1, { what: "the password to be asked for" });
    giveUp.abort();
    expect(await one).toMatchObject({ code: "aborted" });
    expect(asked[0]?.signal.aborted).toBe(false);
    open();
    await expectToWork((await other).connection);
    expect(server.embedded.accepted).toBe(1);
  });

  test("the last one who gives up ends the connecting, and the next one begins anew", async () => {
    const { server, password, asked, open } = await gated();
    await using _ = server;
    await leavesNoTrace(async () => {
      await using pool = poolFor(server, { password });
      const giveUp = new AbortController();
      const waiting = [1, 2, 3].map(() => rejectionOf(pool.lease(destinationOf(server), giveUp.signal)));
      await eventually(() => asked.length === 1, { what: "the password to be asked for" });
      giveUp.abort();
      expect((await Promise.all(waiting)).map(({ code }) => code)).toEqual(["aborted", "aborted", "aborted"]);
      expect(asked[0]?.signal.aborted).toBe(true);
      await eventually(() => server.embedded.connections === 0, { what: "the connecting to end" });
      open();
      const lease = await pool.lease(destinationOf(server));
      await expectToWork(lease.connection);
      expect(server.embedded.accepted).toBe(2);
    });
  });

  test("who comes in the moment in which the last one leaves gets a connection all the same", async () => {
    // The leaving goes through several turns of the microtask queue.
    for (let turns = 0; turns < 16; turns += 1) {
      const { server, password, asked, open } = await gated();
      await using _ = server;
      await using pool = poolFor(server, { password });
      const giveUp = new AbortController();
      const leaving = rejectionOf(pool.lease(destinationOf(server), giveUp.signal));
      await eventually(() => asked.length === 1, { what: "the password to be asked for" });
      open();
      giveUp.abort();
      for (let turn = 0; turn < turns; turn += 1) await undefined;
      const coming = pool.lease(destinationOf(server));
      expect(await leaving).toMatchObject({ code: "aborted" });
      await expectToWork((await coming).connection);
      expect(pool.size).toBe(1);
    }
  });

  test("fail together, and whoever tries again at once gets a new attempt", async () => {
    await using server = await startEmbedded({ user: "ann", authorizedKeys: [], passwords: { ann: PASSWORD } });
    const answers: (string | undefined)[] = ["wrong-one", "wrong-one"];
    const password = vi.fn(() => (answers.length > 0 ? answers.shift() : PASSWORD));
    await using pool = poolFor(server, { password });
    const failed: string[] = [];
    const leases = [1, 2, 3].map(() =>
      pool.lease(destinationOf(server)).catch((failure) => {
        failed.push(failure.code);
        return pool.lease(destinationOf(server));
      }),
    );
    for (const { connection } of await Promise.all(leases)) await expectToWork(connection);
    expect(failed).toEqual(["auth-failed", "auth-failed", "auth-failed"]);
    expect(server.embedded.accepted).toBe(2);
  });
});

describe("a connection of a pool", () => {
  test("that is lost is forgotten, and the next lease makes a new one", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      await using pool = poolFor(server);
      const old = await pool.lease(destinationOf(server));
      const lost = once(old.connection.lost, "abort");
      server.embedded.resetConnections();
      await lost;
      expect(old.connection.lost.reason).toMatchObject({ code: "connection-lost" });
      expect(pool.size).toBe(0);
      const lease = await pool.lease(destinationOf(server));
      expect(lease.connection).not.toBe(old.connection);
      // Giving back the old one must not take away the new one.
      old.release();
      await expectToWork(lease.connection);
      expect(pool.size).toBe(1);
      expect(server.embedded.accepted).toBe(2);
    });
  });

  test("may be given back often by one without taking it from another", async () => {
    await using server = await startEmbedded();
    await using pool = poolFor(server, { idleTimeoutMs: 0 });
    const [one, other] = [await pool.lease(destinationOf(server)), await pool.lease(destinationOf(server))];
    one.release();
    one.release();
    await one[Symbol.asyncDispose]();
    await expectToWork(other.connection);
    expect(other.connection.lost.aborted).toBe(false);
  });

  test.each([0, 30])("that nobody uses is closed after %i ms", async (idleTimeoutMs) => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      await using pool = poolFor(server, { idleTimeoutMs });
      const { connection, release } = await pool.lease(destinationOf(server));
      release();
      expect(connection.lost.reason).toMatchObject({ code: "closed" });
      await eventually(() => pool.size === 0, { what: "the connection to be closed" });
      await using again = await pool.lease(destinationOf(server));
      await expectToWork(again.connection);
    });
    expect(server.embedded.accepted).toBe(2);
  });

  test("that nobody uses yet is leased again", async () => {
    await using server = await startEmbedded();
    await withFakeTimeouts(async (pass) => {
      await using pool = poolFor(server, { idleTimeoutMs: 1_000 });
      const one = await pool.lease(destinationOf(server));
      one.release();
      pass(999);
      const two = await pool.lease(destinationOf(server));
      pass(10_000);
      expect(pool.size).toBe(1);
      await expectToWork(two.connection);
      expect(server.embedded.accepted).toBe(1);
    });
  });

  test("that nobody uses is not forgotten by a lease that was given up", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      await using pool = poolFor(server, { idleTimeoutMs: 50 });
      const { release } = await pool.lease(destinationOf(server));
      release();
      expect(await rejectionOf(pool.lease(destinationOf(server), AbortSignal.abort()))).toMatchObject({
        code: "aborted",
      });
      await eventually(() => pool.size === 0, { what: "the connection to be closed" });
    });
    expect(server.embedded.accepted).toBe(1);
  });

  test("is another one for another user", async () => {
    const { server, password, asked, open } = await gated(["ann", "bob"]);
    await using _ = server;
    open();
    await using pool = poolFor(server, { password });
    const [ann, bob, again] = await Promise.all(
      ["ann", "bob", "ann"].map((user) => pool.lease({ ...destinationOf(server), user })),
    );
    expect(ann?.connection.box).toBe(again?.connection.box);
    expect(ann?.connection.box).not.toBe(bob?.connection.box);
    expect(asked.map(({ user }) => user).sort()).toEqual(["ann", "bob"]);
    expect(server.embedded.accepted).toBe(2);
    expect(pool.size).toBe(2);
  });

  test("a box sees no more than five that are being made at a time", async () => {
    const users = Array.from({ length: 12 }, (_, index) => `user${index}`);
    const { server, password, asked, open } = await gated(users);
    await using _ = server;
    await using pool = poolFor(server, { password });
    const leasing = users.map((user) => pool.lease({ ...destinationOf(server), user }));
    await eventually(() => asked.length === 5, { what: "five passwords to be asked for" });
    expect(server.embedded.accepted).toBe(5);
    open();
    expect(await Promise.all(leasing)).toHaveLength(12);
    expect(server.embedded.accepted).toBe(12);
  });

  test("one who waits for his turn may give up", async () => {
    const users = Array.from({ length: 6 }, (_, index) => `user${index}`);
    const { server, password, asked, open } = await gated(users);
    await using _ = server;
    await using pool = poolFor(server, { password });
    const giveUp = new AbortController();
    const leasing = users.slice(0, 5).map((user) => pool.lease({ ...destinationOf(server), user }));
    // What each means is read first, and who is ready first goes first.
    await eventually(() => asked.length === 5, { what: "five passwords to be asked for" });
    const last = rejectionOf(pool.lease({ ...destinationOf(server), user: "user5" }, giveUp.signal));
    const queued = () => pool.stats().boxes.map(({ handshakes }) => handshakes.waiting);
    await eventually(() => queued().includes(1), { what: "the sixth to wait", state: queued });
    giveUp.abort();
    expect(await last).toMatchObject({ code: "aborted" });
    open();
    await Promise.all(leasing);
    expect(server.embedded.accepted).toBe(5);
  });
});

describe("closing a pool", () => {
  test("ends what is being made, and everything else", async () => {
    const { server, password, asked } = await gated(["ann", "bob"]);
    await using _ = server;
    await leavesNoTrace(async () => {
      const pool = poolFor(server, { password });
      const waiting = ["ann", "ann", "bob"].map((user) => rejectionOf(pool.lease({ ...destinationOf(server), user })));
      await eventually(() => asked.length === 2, { what: "both passwords to be asked for" });
      const closing = pool.close();
      expect(pool.close()).toBe(closing);
      await closing;
      expect((await Promise.all(waiting)).map(({ code }) => code)).toEqual(["closed", "closed", "closed"]);
      expect(asked.map(({ signal }) => signal.aborted)).toEqual([true, true]);
      expect(pool.size).toBe(0);
    });
    await eventually(() => server.embedded.connections === 0, { what: "the connecting to end" });
  });

  test("closes what is leased and what is idle, and refuses more", async () => {
    const { server, password, open } = await gated(["ann", "bob"]);
    await using _ = server;
    open();
    await leavesNoTrace(async () => {
      const pool = poolFor(server, { password });
      const ann = await pool.lease({ ...destinationOf(server), user: "ann" });
      const bob = await pool.lease({ ...destinationOf(server), user: "bob" });
      bob.release();
      await pool.close();
      for (const { connection } of [ann, bob]) expect(connection.lost.reason).toMatchObject({ code: "closed" });
      ann.release();
      expect(pool.size).toBe(0);
      expect(await rejectionOf(pool.lease(destinationOf(server)))).toMatchObject({ code: "closed" });
    });
  });

  test("in the moment in which a connection is made leaves none open", async () => {
    await using server = await startEmbedded();
    for (let turns = 0; turns < 24; turns += 1) {
      await hearing("ready after", async (made) => {
        const pool = poolFor(server);
        const leasing = pool.lease(destinationOf(server)).then(
          () => "leased",
          (failure) => failure.code,
        );
        await made;
        for (let turn = 0; turn < turns; turn += 1) await undefined;
        await pool.close();
        expect(["leased", "closed"]).toContain(await leasing);
        expect(pool.size).toBe(0);
        await eventually(() => server.embedded.connections === 0, { what: "the connection to end" });
      });
    }
  });
});

test("a destination that makes no sense is refused", async () => {
  await using pool = new ConnectionPool();
  expect(await rejectionOf(pool.lease("-x"))).toMatchObject({ code: "bad-options" });
});

test("pins that make no sense are refused", () => {
  expect(failureOf(() => new ConnectionPool({ hostKeyFingerprints: ["x"] }))).toMatchObject({ code: "bad-options" });
});

test("an idle pool that nobody closes lets the process end", async () => {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("pool-child.ts", import.meta.url))],
    bundle: true,
    write: false,
    platform: "node",
    format: "esm",
    packages: "external",
  });
  await using server = await startEmbedded();
  const options = { ...optionsFor(server), identityFile: server.identityFile, idleTimeoutMs: 300 };
  const input = JSON.stringify({ destination: destinationOf(server), options });
  // Packages are found from the working directory, where this project is.
  const child = spawn(process.execPath, ["--input-type=module", "-", input], { stdio: ["pipe", "pipe", "inherit"] });
  try {
    child.stdin.end(outputFiles[0]?.text);
    const said = child.stdout.toArray();
    expect(await once(child, "exit")).toEqual([0, null]);
    expect((await said).join("")).toBe("released after 0, 1 open\nended, 0 open\n");
  } finally {
    child.kill("SIGKILL");
  }
  await eventually(() => server.embedded.connections === 0, { what: "the connection to end" });
});
