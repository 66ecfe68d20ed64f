import { describe, expect, test } from "vitest";
import { ConnectionPool, type ConnectionPoolOptions } from "../../src/connect/pool.ts";
import type { Connection, ExecChannel } from "../../src/contract/connection.ts";
import { later } from "../../src/lifetime/later.ts";
import { type EmbeddedTestServer, startEmbedded } from "../servers/embedded.ts";
import { eventually } from "../tools/eventually.ts";
import { rejectionOf } from "./failure-of.ts";
import { destinationOf, optionsFor } from "./login.ts";
import { leavesNoTrace } from "./traces.ts";

const LONG_MS = 600_000;
const PASSWORD = "plugh-hunter2";

function poolFor(server: EmbeddedTestServer, more: ConnectionPoolOptions = {}): ConnectionPool {
  const options = { ...optionsFor(server), identityFile: server.identityFile, idleTimeoutMs: LONG_MS };
  return new ConnectionPool({ ...options, ...more });
}

/** Runs a command that stays until its stdin ends. */
async function stay(connection: Connection, signal?: AbortSignal): Promise<ExecChannel> {
  const channel = await connection.exec("cat", signal);
  channel.stdout.resume();
  channel.stderr.resume();
  return channel;
}

async function end({ stdin, closed }: ExecChannel): Promise<void> {
  stdin.end();
  await closed;
}

/** How many sessions each connection of the pool's only box has, and can have. */
function sessionsOf(pool: ConnectionPool): [sessions: number, limit: number | null][] {
  const connections = pool.stats().boxes[0]?.connections ?? [];
  return connections.map(({ sessions, sessionLimit }) => [sessions, sessionLimit]);
}

describe("where a connection can have so many sessions only", () => {
  test("there are as many connections as the sessions need, and not more", async () => {
    await using server = await startEmbedded({ maxSessions: 3 });
    await leavesNoTrace(async () => {
      await using pool = poolFor(server);
      const leases = await Promise.all(Array.from({ length: 8 }, () => pool.lease(destinationOf(server))));
      expect(pool.stats()).toMatchObject({ connections: 1, sessions: 0 });
      const running = await Promise.all(leases.map(({ connection }) => stay(connection)));
      expect(sessionsOf(pool)).toEqual([
        [3, 3],
        [3, 3],
        [2, 3],
      ]);
      expect(pool.stats().boxes[0]?.totals).toMatchObject({ opened: 3, refused: 5, dropped: 0 });
      await Promise.all(running.map(end));
      expect(pool.stats()).toMatchObject({ connections: 3, sessions: 0 });
    });
    expect(server.embedded.accepted).toBe(3);
  });

  test("what was learnt is asked for no more, and a place that is free is taken", async () => {
    await using server = await startEmbedded({ maxSessions: 1 });
    await using pool = poolFor(server);
    const lease = () => pool.lease(destinationOf(server));
    const [one, two] = [await stay((await lease()).connection), await stay((await lease()).connection)];
    await end(one);
    for (let turn = 0; turn < 3; turn += 1) await end(await stay((await lease()).connection));
    await end(two);
    expect(pool.stats().boxes[0]?.totals).toMatchObject({ opened: 2, refused: 1 });
  });

  test("a second command of one lease runs on another connection", async () => {
    await using server = await startEmbedded({ maxSessions: 1 });
    await using pool = poolFor(server);
    const { connection } = await pool.lease(destinationOf(server));
    const first = await stay(connection);
    const second = await stay(connection);
    expect(sessionsOf(pool)).toEqual([
      [1, 1],
      [1, 1],
    ]);
    await end(second);
    expect(connection.lost.aborted).toBe(false);
    await end(first);
  });

  test("a lease whose first command went elsewhere is lost with that connection", async () => {
    await using server = await startEmbedded({ maxSessions: 1 });
    await using pool = poolFor(server);
    const leases = await Promise.all([1, 2].map(() => pool.lease(destinationOf(server))));
    await Promise.all(leases.map(({ connection }) => stay(connection)));
    expect(pool.stats().boxes[0]?.connections.map(({ leases }) => leases)).toEqual([1, 1]);
    const lost = leases.map(
      ({ connection }) => new Promise((resolve) => connection.lost.addEventListener("abort", resolve)),
    );
    server.embedded.resetConnections();
    await Promise.all(lost);
    expect(pool.stats()).toMatchObject({ connections: 0, sessions: 0 });
    expect(pool.stats().boxes[0]?.totals).toMatchObject({ lost: 2 });
  });

  test("a server that gives no session at all is believed", async () => {
    await using server = await startEmbedded({ maxSessions: 0 });
    await leavesNoTrace(async () => {
      await using pool = poolFor(server);
      const leases = await Promise.all(Array.from({ length: 5 }, () => pool.lease(destinationOf(server))));
      const failures = await Promise.all(leases.map(({ connection }) => rejectionOf(connection.exec("true"))));
      expect(failures.map(({ code }) => code)).toEqual(Array(5).fill("plugin-not-started"));
      expect(failures[0]).toMatchObject({ hint: expect.stringContaining("MaxSessions") });
      expect(pool.stats()).toMatchObject({ sessions: 0, waiting: 0 });
    });
    await eventually(() => server.embedded.connections === 0, { what: "the connecting to end" });
  });
});

/** A server with one session for each connection, of which the pool cannot make a second before the test says `open`. */
async function gated() {
  const gate = later<string>();
  let asked = 0;
  const server = await startEmbedded({ maxSessions: 1, user: "ann", authorizedKeys: [], passwords: { ann: PASSWORD } });
  const password = () => {
    asked += 1;
    return asked === 1 ? PASSWORD : gate.promise;
  };
  const pool = poolFor(server, { password, identityFile: [] });
  return { server, pool, asked: () => asked, open: () => gate.resolve(PASSWORD) };
}

describe("one who waits for a session", () => {
  test("gets that of another who ends, and the connecting for him ends", async () => {
    const { server, pool, asked } = await gated();
    await using _ = server;
    await using __ = pool;
    const [one, other] = [await pool.lease(destinationOf(server)), await pool.lease(destinationOf(server))];
    const first = await stay(one.connection);
    const waiting = stay(other.connection);
    await eventually(() => asked() === 2, { what: "another connection to be made" });
    expect(pool.stats()).toMatchObject({ waiting: 1, boxes: [{ handshakes: { underWay: 1 } }] });
    await end(first);
    await end(await waiting);
    await eventually(() => server.embedded.connections === 1, { what: "the connecting to end" });
    expect(pool.stats()).toMatchObject({ connections: 1, waiting: 0 });
  });

  test("may give up", async () => {
    const { server, pool, asked } = await gated();
    await using _ = server;
    await using __ = pool;
    const [one, other] = [await pool.lease(destinationOf(server)), await pool.lease(destinationOf(server))];
    const first = await stay(one.connection);
    const giveUp = new AbortController();
    const waiting = rejectionOf(stay(other.connection, giveUp.signal));
    await eventually(() => asked() === 2, { what: "another connection to be made" });
    giveUp.abort();
    expect(await waiting).toMatchObject({ code: "aborted" });
    await eventually(() => server.embedded.connections === 1, { what: "the connecting to end" });
    await end(first);
    expect(pool.stats()).toMatchObject({ connections: 1, sessions: 0, waiting: 0 });
  });

  test("to end what runs goes before those who start something", async () => {
    const { server, pool, asked, open } = await gated();
    await using _ = server;
    await using __ = pool;
    const running = await pool.lease(destinationOf(server));
    const plugin = await stay(running.connection);
    const order: string[] = [];
    const starts = [1, 2, 3].map(async (n) => {
      const { connection } = await pool.lease(destinationOf(server));
      const channel = await stay(connection);
      order.push(`start ${n}`);
      return channel;
    });
    await eventually(() => asked() === 4, { what: "three connections to be made" });
    const kill = stay(running.connection).then(async (channel) => {
      order.push("kill");
      return channel;
    });
    await eventually(() => pool.stats().waiting === 4, { what: "all to wait" });
    open();
    for (const channel of [plugin, await kill, ...(await Promise.all(starts))]) await end(channel);
    expect(order[0]).toBe("kill");
    expect(order.slice(1).sort()).toEqual(["start 1", "start 2", "start 3"]);
  });

  test("is told when the pool is closed, or the box goes away", async () => {
    for (const what of ["closed", "lost"]) {
      const { server, pool, asked } = await gated();
      await using _ = server;
      const [one, other] = [await pool.lease(destinationOf(server)), await pool.lease(destinationOf(server))];
      await stay(one.connection);
      const waiting = rejectionOf(stay(other.connection));
      await eventually(() => asked() === 2, { what: "another connection to be made" });
      if (what === "closed") await pool.close();
      else server.embedded.resetConnections();
      expect(what === "closed" ? ["closed"] : ["connection-lost", "connect-failed"]).toContain((await waiting).code);
      await pool.close();
    }
  });
});

test("a lease that was given back is over", async () => {
  await using server = await startEmbedded();
  await using pool = poolFor(server);
  const one = await pool.lease(destinationOf(server));
  const other = await pool.lease(destinationOf(server));
  one.release();
  expect(one.connection.lost.reason).toMatchObject({ code: "closed" });
  expect(await rejectionOf(one.connection.exec("true"))).toMatchObject({ code: "closed" });
  expect(await rejectionOf(one.connection.openStream({ network: "tcp", host: "127.0.0.1", port: 1 }))).toMatchObject({
    code: "closed",
  });
  await end(await stay(other.connection));
});

test("a session that nobody reads to its end is counted no longer than its lease", async () => {
  await using server = await startEmbedded();
  await using pool = poolFor(server);
  const one = await pool.lease(destinationOf(server));
  await one.connection.exec("echo unread");
  expect(pool.stats()).toMatchObject({ sessions: 1 });
  one.release();
  expect(pool.stats()).toMatchObject({ sessions: 0, boxes: [{ connections: [{ leases: 0 }] }] });
  await pool.close();
});

test("streams and listeners of a lease work as on a connection of one's own", async () => {
  await using server = await startEmbedded();
  await using pool = poolFor(server);
  const { connection } = await pool.lease(destinationOf(server));
  const arrived = later<string>();
  const listener = await connection.listen({ network: "tcp", host: "127.0.0.1", port: 0 }, (stream) => {
    stream.on("error", () => {}).end("hello");
  });
  const stream = await connection.openStream(listener.address);
  stream.on("data", (chunk) => arrived.resolve(String(chunk)));
  expect(await arrived.promise).toBe("hello");
  stream.end();
  await listener.close();
});

test("the figures can be read by people and by programs", async () => {
  await using server = await startEmbedded({ maxSessions: 1 });
  await using pool = poolFor(server);
  expect(String(pool)).toBe("no connections");
  const lease = await pool.lease(destinationOf(server));
  const channel = await stay(lease.connection);
  const { user, host, port } = server;
  expect(String(pool)).toBe(
    `${user}@${host}:${port}: 1 connection; sessions 1/?; 0 waiting; handshakes 0 of 5, 0 waiting; ` +
      "so far 1 opened, 0 lost, 0 sessions refused, 0 dropped, 0 retried",
  );
  expect(JSON.parse(JSON.stringify(pool.stats()))).toEqual({
    connections: 1,
    sessions: 1,
    waiting: 0,
    boxes: [
      {
        destination: `${user}@${host}:${port}`,
        connections: [{ sessions: 1, sessionLimit: null, leases: 1 }],
        waiting: 0,
        handshakes: { underWay: 0, waiting: 0, atOnce: 5 },
        totals: { opened: 1, lost: 0, refused: 0, dropped: 0, retried: 0 },
      },
    ],
  });
  await end(channel);
});

test("a server that drops us before its banner is asked a few times more, by nobody else meanwhile", async () => {
  await using server = await startEmbedded({ dropBeforeBanner: "Exceeded MaxStartups" });
  await leavesNoTrace(async () => {
    await using pool = poolFor(server);
    const leases = ["ann", "bob"].map((user) => rejectionOf(pool.lease({ ...destinationOf(server), user })));
    for (const failure of await Promise.all(leases)) {
      expect(failure.code).toBe("box-refused");
      expect(failure.message).toContain('It said "Exceeded MaxStartups". It did so 5 times in ');
      expect(failure.hint).toMatch(/MaxStartups .*PerSourcePenalties/s);
    }
    // Those of the two that are under way together count once.
    const { accepted } = server.embedded;
    expect([6, 7, 8]).toContain(accepted);
    const totals = { dropped: accepted, retried: accepted - 2 };
    expect(pool.stats().boxes[0]).toMatchObject({ handshakes: { atOnce: 1 }, totals });
  });
});

describe("a command that nobody waits for", () => {
  /** Starts one that can be claimed, and counts how often it was asked to end. */
  async function spareOn({ spare }: Connection, mayEnd: Promise<unknown> = Promise.resolve()) {
    const asked = { times: 0 };
    const channel = await spare?.exec("cat", async () => {
      asked.times += 1;
      await mayEnd;
      if (channel) await end(channel);
    });
    if (!channel) throw new TypeError("There is no place for spare commands.");
    channel.stdout.resume();
    channel.stderr.resume();
    return { channel, asked };
  }

  test("holds no connection open, and ends with it", async () => {
    await using server = await startEmbedded();
    await leavesNoTrace(async () => {
      await using pool = poolFor(server, { idleTimeoutMs: 0 });
      const lease = await pool.lease(destinationOf(server));
      const { channel, asked } = await spareOn(lease.connection);
      expect(pool.stats()).toMatchObject({ sessions: 1 });
      lease.release();
      await channel.closed;
      expect(pool.size).toBe(0);
      expect(asked.times).toBe(0);
    });
  });

  test("is made although the lease that asked for it was given back meanwhile", async () => {
    await using server = await startEmbedded();
    await using pool = poolFor(server);
    const lease = await pool.lease(destinationOf(server));
    const asking = spareOn(lease.connection);
    lease.release();
    const { channel } = await asking;
    const other = await pool.lease(destinationOf(server));
    expect(other.connection.spare?.claim(channel)).toBe(true);
    expect(await rejectionOf(spareOn(lease.connection))).toMatchObject({ code: "closed" });
    await end(channel);
  });

  test("can be claimed once, by any lease, which moves to where it runs", async () => {
    await using server = await startEmbedded({ maxSessions: 1 });
    await using pool = poolFor(server);
    const [one, other, late] = await Promise.all([1, 2, 3].map(() => pool.lease(destinationOf(server))));
    if (!one || !other || !late) throw new TypeError("There are three.");
    await stay(one.connection);
    // A second connection, with room for one.
    await end(await stay(other.connection));
    const { channel } = await spareOn(one.connection);
    expect(pool.stats()).toMatchObject({ connections: 2, sessions: 2 });
    expect(late.connection.spare?.key).toBe(one.connection.spare?.key);
    expect(late.connection.spare?.claim(channel)).toBe(true);
    expect(late.connection.spare?.claim(channel)).toBe(false);
    other.release();
    expect(pool.stats().boxes[0]?.connections.map(({ leases }) => leases)).toEqual([1, 1]);
    await end(channel);
    late.release();
    expect(pool.stats().boxes[0]?.connections.map(({ leases }) => leases)).toEqual([1, 0]);
  });

  test("makes room for who needs its session, before another connection is made", async () => {
    await using server = await startEmbedded({ maxSessions: 2 });
    await using pool = poolFor(server);
    const { connection } = await pool.lease(destinationOf(server));
    const spares = [await spareOn(connection), await spareOn(connection)];
    const running = [await stay(connection), await stay(connection)];
    expect(spares.map(({ asked }) => asked.times)).toEqual([1, 1]);
    expect(spares.map(({ channel }) => connection.spare?.claim(channel))).toEqual([false, false]);
    expect(pool.stats()).toMatchObject({ connections: 1, sessions: 2 });
    // None is made at the cost of others.
    expect(await rejectionOf(spareOn(connection))).toMatchObject({ code: "plugin-not-started" });
    running.push(await stay(connection));
    expect(pool.stats()).toMatchObject({ connections: 2, sessions: 3 });
    await Promise.all(running.map(end));
  });

  test("that takes its time to make room is waited for by the one for whom it is enough", async () => {
    await using server = await startEmbedded({ maxSessions: 2 });
    await using pool = poolFor(server);
    const { connection } = await pool.lease(destinationOf(server));
    const slow = later<void>();
    await spareOn(connection, slow.promise);
    await spareOn(connection);
    const starts = [stay(connection), stay(connection)];
    // The room that the quick one makes goes to the first of them, who had asked the slow one.
    const first = await Promise.race(starts);
    expect(pool.stats()).toMatchObject({ connections: 1, waiting: 1, boxes: [{ handshakes: { underWay: 0 } }] });
    // One more than there is room for needs a connection.
    const third = await stay(connection);
    expect(pool.stats()).toMatchObject({ connections: 2, sessions: 3 + 1 });
    slow.resolve();
    const running = [third, ...(await Promise.all(starts))];
    expect(running).toContain(first);
    expect(pool.stats()).toMatchObject({ connections: 2, waiting: 0 });
    await Promise.all(running.map(end));
  });

  test("saves those who get no room from it no connection, and makes the others need none", async () => {
    await using server = await startEmbedded({ maxSessions: 2 });
    await using pool = poolFor(server);
    const { connection } = await pool.lease(destinationOf(server));
    const slow = later<void>();
    const first = await stay(connection);
    await spareOn(connection, slow.promise);
    const starts = [1, 2, 3].map(() => stay(connection));
    await eventually(() => pool.stats().waiting === 3, { what: "all to wait" });
    const running = [first, ...(await Promise.all(starts.slice(0, 2)))];
    slow.resolve();
    running.push(...(await Promise.all(starts)));
    expect(pool.stats()).toMatchObject({ connections: 2, waiting: 0, boxes: [{ totals: { opened: 2 } }] });
    await Promise.all(running.map(end));
  });
});
