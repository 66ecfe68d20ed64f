import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import type { OwnedConnection } from "../../src/connect/owned-connection.ts";
import { BoxPool } from "../../src/connect/pool/box-pool.ts";
import type { ExecChannel } from "../../src/contract/connection.ts";
import { PluginError } from "../../src/contract/errors.ts";
import { within } from "../../src/lifetime/deadline.ts";
import { later } from "../../src/lifetime/later.ts";
import { eventually } from "../tools/eventually.ts";
import { withFakeTimeouts } from "./fake-timeouts.ts";

const IDLE_TIMEOUT_MS = 10_000;
const DESTINATION = "ssh://deploy@build:22";

/** A connection with room for one session, whose server answers each start when the test says so. */
class FakeConnection implements OwnedConnection {
  readonly name = "deploy@build:22";
  readonly #over = new AbortController();
  readonly lost = this.#over.signal;
  /** Starts that wait for the server's answer. */
  readonly asked: (() => void)[] = [];
  #running = 0;

  async exec(_command: string, signal?: AbortSignal): Promise<ExecChannel> {
    const answered = later<void>();
    this.asked.push(answered.resolve);
    await within({ signal, until: [this.lost] }, () => answered.promise);
    if (this.#running > 0) throw refusal();
    this.#running += 1;
    const [stdin, closed] = [new PassThrough(), later<void>()];
    const close = () => {
      this.#running -= 1;
      closed.resolve();
    };
    const outputs = { stdout: new PassThrough(), stderr: new PassThrough() };
    return { stdin, ...outputs, exited: later<undefined>().promise, closed: closed.promise, signal: () => {}, close };
  }

  async openStream(): Promise<never> {
    throw new TypeError("No stream is opened here.");
  }

  async listen(): Promise<never> {
    throw new TypeError("Nothing listens here.");
  }

  hold(): void {}

  async close(): Promise<void> {
    this.#over.abort(new PluginError("closed", "The connection was closed."));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** As OpenSSH refuses one session more than `MaxSessions`. */
function refusal(): PluginError {
  return new PluginError("plugin-not-started", "no", { cause: Object.assign(new Error("no"), { reason: 2 }) });
}

function fakePool(idleTimeoutMs: number) {
  const made: FakeConnection[] = [];
  const connect = async () => {
    const connection = new FakeConnection();
    made.push(connection);
    return connection;
  };
  return { made, pool: new BoxPool({ name: "build", idleTimeoutMs, connect }) };
}

/** Waits for a start to be asked for on the connection, and has the server answer it. */
async function answer(made: FakeConnection[], at: number): Promise<void> {
  await eventually(() => made[at]?.asked.length, { what: `a start on connection ${at}` });
  made[at]?.asked.shift()?.();
}

describe("a connection that no lease is at home on", () => {
  test.each([0, IDLE_TIMEOUT_MS])("is not idle while a command is started on it (%d ms)", async (idleTimeoutMs) => {
    await withFakeTimeouts(async (pass) => {
      const { made, pool } = fakePool(idleTimeoutMs);
      const lease = await pool.lease(DESTINATION);
      const first = lease.exec("cat");
      await answer(made, 0);
      await first;
      const second = lease.exec("cat");
      await answer(made, 0);
      await eventually(() => made[1]?.asked.length, { what: "a start on another connection" });
      pass(idleTimeoutMs + 1);
      await answer(made, 1);
      const channel = await second;
      expect(made.map(({ lost }) => lost.aborted)).toEqual([false, false]);
      // Afterwards it is idle again.
      channel.close();
      await eventually(() => pool.links[1]?.users === 0, { what: "nobody to use it" });
      pass(idleTimeoutMs + 1);
      expect(made.map(({ lost }) => lost.aborted)).toEqual([false, true]);
      await pool.close();
    });
  });

  test("is idle again when the start on it is given up", async () => {
    await withFakeTimeouts(async (pass) => {
      const { made, pool } = fakePool(IDLE_TIMEOUT_MS);
      const lease = await pool.lease(DESTINATION);
      const first = lease.exec("cat");
      await answer(made, 0);
      await first;
      const giveUp = new AbortController();
      const second = lease.exec("cat", giveUp.signal);
      await answer(made, 0);
      await eventually(() => made[1]?.asked.length, { what: "a start on another connection" });
      giveUp.abort();
      await expect(second).rejects.toMatchObject({ code: "aborted" });
      await eventually(() => pool.links[1]?.users === 0, { what: "nobody to use it" });
      pass(IDLE_TIMEOUT_MS + 1);
      expect(made.map(({ lost }) => lost.aborted)).toEqual([false, true]);
      await pool.close();
    });
  });
});
