import { PassThrough } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { OwnedConnection } from "../../src/connect/owned-connection.ts";
import { BoxPool } from "../../src/connect/pool/box-pool.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { later } from "../../src/lifetime/later.ts";

const MAX_SESSIONS = 2;

/** As OpenSSH: a session that has ended is counted until the server has answered once more, or for ever. */
class FakeServer {
  refused = 0;
  connections = 0;
  readonly #tidies: boolean;

  constructor({ tidies }: { tidies: boolean }) {
    this.#tidies = tidies;
  }

  connect(): OwnedConnection {
    this.connections += 1;
    let [open, ended] = [0, 0];
    const lost = new AbortController();
    const exec = async () => {
      const isFull = open + ended >= MAX_SESSIONS;
      if (this.#tidies) ended = 0;
      open += isFull ? 0 : 1;
      this.refused += isFull ? 1 : 0;
      await turn();
      if (isFull) {
        const cause = Object.assign(new Error("open failed"), { reason: 2 });
        throw new PluginError("plugin-not-started", "No session.", { cause });
      }
      const over = later<void>();
      const end = () => {
        [open, ended] = [open - 1, ended + 1];
        over.resolve();
      };
      const [stdin, stdout, stderr] = [new PassThrough(), new PassThrough(), new PassThrough()];
      return {
        stdin,
        stdout,
        stderr,
        exited: later<undefined>().promise,
        closed: over.promise,
        signal() {},
        close: end,
      };
    };
    const never = () => Promise.reject(new TypeError("Nobody asks for this."));
    const close = async () => lost.abort(new PluginError("closed", "It is over."));
    return {
      name: "box",
      lost: lost.signal,
      exec,
      openStream: never,
      listen: never,
      hold() {},
      close,
      [Symbol.asyncDispose]: close,
    };
  }
}

function poolFor(server: FakeServer): BoxPool {
  return new BoxPool({ name: "box", idleTimeoutMs: 600_000, connect: async () => server.connect() });
}

test("a refusal that may be due to a session that has just ended makes no connection", async () => {
  const server = new FakeServer({ tidies: true });
  const pool = poolFor(server);
  const lease = await pool.lease("box");
  let [first, second] = [await lease.exec("one"), await lease.exec("two")];
  for (let n = 1; n <= 5; n += 1) {
    first.close();
    await first.closed;
    [first, second] = [second, await lease.exec("next")];
  }
  expect([server.connections, server.refused, pool.links.map(({ limit }) => limit)]).toEqual([1, 5, [MAX_SESSIONS]]);
  await pool.close();
});

test("who is refused again gets another connection", async () => {
  const server = new FakeServer({ tidies: false });
  const pool = poolFor(server);
  const lease = await pool.lease("box");
  const [first] = [await lease.exec("one"), await lease.exec("two")];
  first.close();
  await first.closed;
  await lease.exec("three");
  expect([server.connections, server.refused, pool.links.map(({ limit }) => limit)]).toEqual([2, 2, [1, MAX_SESSIONS]]);
  await pool.close();
});
