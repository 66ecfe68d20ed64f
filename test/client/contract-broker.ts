import { randomBytes } from "node:crypto";
import { createClient } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { later } from "../../src/lifetime/later.ts";
import type { RunnerKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { AddHelper, Echo } from "../plugins/gen/counter_pb.ts";
import { causeOf } from "./failing-calls.ts";
import type { Difference } from "./started-client.ts";
import { type HostedCounter, startCounterOn, sums } from "./started-counter.ts";

/** How a plugin and its host may be connected. */
const WAYS: [name: string, difference: Difference][] = [
  ["each in a socket of its own, AutoMTLS", {}],
  ["each in a socket of its own, no TLS", { autoMtls: false }],
  ["all in one connection, AutoMTLS", { grpcBrokerMultiplex: true }],
  ["all in one connection, no TLS", { grpcBrokerMultiplex: true, autoMtls: false }],
];

/** How many connections are made at once. */
const MANY = 8;

/** What goes by way of the broker. */
export function brokerContract(kind: RunnerKind): void {
  describe.each(WAYS)("brokered connections, %s", (_name, difference) => {
    test("lead in both directions, many at once", async () => {
      await using bench = await kind.open();
      await using hosted = await startCounterOn(bench, difference);
      const { typed } = hosted;
      await typed.put("one after the other", 2);
      await typed.put("one after the other", 40);
      expect(await typed.get("one after the other")).toBe(42);

      const [fromPlugin, fromHost] = await Promise.all([
        callBack(hosted),
        callEchoes(hosted),
        ...Array.from({ length: MANY }, (_, n) => typed.put("at once", n)),
      ]);
      expect(fromPlugin).toEqual(Array.from({ length: MANY }, (_, n) => 42n + BigInt(n)));
      expect(fromHost).toEqual(Array.from({ length: MANY }, () => true));
      expect(await typed.get("at once")).toBe((MANY * (MANY - 1)) / 2);
    });

    test("end with a kill, and so do the calls on them", async () => {
      await using bench = await kind.open();
      const hosted = await startCounterOn(bench, difference);
      const { client, counter, typed } = hosted;
      const { broker } = client;
      const [asked, released] = [later<AbortSignal>(), later<void>()];
      const stuck = await broker.acceptAndServe(broker.nextId(), (router) => {
        router.service(AddHelper, {
          sum: async (_request, { signal }) => {
            asked.resolve(signal);
            await released.promise;
            return {};
          },
        });
      });
      const [id = 0] = (await counter.serveEchoes({ count: 1 })).ids;
      const echo = createClient(Echo, (await broker.dial(id)).transport);
      const idle = await broker.accept(broker.nextId());
      const calls = [causeOf(counter.put({ key: "a", value: 1n, addServer: stuck.id })), causeOf(endless(echo))];
      const handling = await asked.promise;
      // The dial would give up by itself after five seconds.
      const waiting = [failureOf(idle.accept()), failureOf(broker.dial(4_000_000_000))];

      await client.kill();
      for (const { code } of await Promise.all(calls)) expect(["plugin-exited", "closed"]).toContain(code);
      for (const failure of await Promise.all(waiting)) {
        expect(failure).toMatchObject({ code: "closed", message: expect.stringContaining("broker closed") });
      }
      expect([handling.aborted, typed.signal.aborted]).toEqual([true, true]);
      expect((await failureOf(broker.accept(broker.nextId()))).message).toContain("broker closed");
      expect(() => client.broker).toThrow(expect.objectContaining({ code: "closed" }));
      expect(await client.exitReason()).toEqual({ kind: "killed", exit: { code: 0, signal: null } });
      released.resolve();
    });
  });

  test("brokered connections of several plugins at once do not meet", async () => {
    await using bench = await kind.open();
    const hosted = await Promise.all(WAYS.map(([, difference]) => startCounterOn(bench, difference)));
    await Promise.all(hosted.flatMap(({ typed }, n) => [1, 2, 3].map((value) => typed.put("a", value * 10 ** n))));
    expect(await Promise.all(hosted.map(({ typed }) => typed.get("a")))).toEqual([6, 60, 600, 6000]);
    await hosted[0]?.client.kill();
    expect(await Promise.all(hosted.slice(1).map(callBack))).toHaveLength(3);
    await Promise.all(hosted.map(({ client }) => client.kill()));
  });
}

/**
 * Serves sums under many ids, and has the plugin dial each of them at once, before it forgets the announcement, and call
 * all; gives what it heard, sorted.
 */
async function callBack({ client: { broker }, counter }: HostedCounter): Promise<bigint[]> {
  const ids = Array.from({ length: MANY }, () => broker.nextId());
  const serve = async (id: number, n: number) => {
    const server = await broker.acceptAndServe(id, sums(BigInt(n)));
    await counter.connect({ ids: [id] });
    return server;
  };
  const servers = await Promise.all(ids.map(serve));
  const answer = await counter.sumAll({ a: 2n, b: 40n });
  await Promise.all(servers.map((server) => server.close()));
  return [...answer.sums].sort((one, other) => Number(one - other));
}

/** Has the plugin serve under many ids, dials all of them at once, and says whether each gave back what it was given. */
async function callEchoes({ client: { broker }, counter }: HostedCounter): Promise<boolean[]> {
  const { ids } = await counter.serveEchoes({ count: MANY });
  return Promise.all(
    ids.map(async (id) => {
      await using connection = await broker.dial(id);
      const payload = randomBytes(300_000);
      const answer = await createClient(Echo, connection.transport).say({ payload });
      return answer.id === id && payload.equals(answer.payload);
    }),
  );
}

/** Calls until a call fails. */
async function endless(echo: { say(request: { payload: Uint8Array }): Promise<unknown> }): Promise<never> {
  for (;;) await echo.say({ payload: Buffer.alloc(100_000) });
}
