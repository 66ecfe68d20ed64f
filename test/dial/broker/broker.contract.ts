import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type ConnectRouter, createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import type { RunnerKind } from "../../contract/runner-kinds.ts";
import { failureOf } from "../../contract/said.ts";
import { AddHelper, Echo } from "../../plugins/gen/counter_pb.ts";
import { buildProgram } from "../../plugins/go-plugins.ts";
import { eventually } from "../../tools/leaks.ts";
import { type Manner, startCounter } from "./started-counter.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;
const MANY = 20;

/** Sums, and notes how often. */
function helper(log: string[] = [], name = "", extra = 0n) {
  return (router: ConnectRouter) => {
    router.service(AddHelper, {
      sum: ({ a, b }) => {
        log.push(name);
        return { sum: a + b + extra };
      },
    });
  };
}

/** What a broker does with a plugin that HashiCorp's library serves. */
export function brokerContract(kind: RunnerKind, manner: Manner): void {
  describe(`GrpcBroker with ${kind.name}, ${JSON.stringify(manner)}`, () => {
    beforeAll(() => buildProgram("counter"), BUILD_MS);

    test("serves the plugin, each id once", async () => {
      await using bench = await kind.open();
      await using hosted = await startCounter(bench, manner);
      const { broker, counter } = hosted;
      const log: string[] = [];
      for (const value of [3n, 4n, 5n]) {
        const id = broker.nextId();
        await using server = await broker.acceptAndServe(id, helper(log, `${id}`));
        expect(server.id).toBe(id);
        expect((await failureOf(broker.accept(id))).code).toBe("bad-options");
        await counter.put({ key: "a", value, addServer: id });
      }
      expect((await counter.get({ key: "a" })).value).toBe(12n);
      expect(log).toEqual(["1", "2", "3"]);
    });

    test("reaches what the plugin serves, whoever comes first", async () => {
      await using bench = await kind.open();
      await using hosted = await startCounter(bench, manner);
      const { ids } = await hosted.counter.serveEchoes({ count: MANY });
      const answers = await Promise.all(
        ids.map(async (id, n) => {
          const payload = Buffer.alloc(n === 0 ? 3_000_000 : n, 7);
          await using connection = await hosted.broker.dial(id);
          const answer = await createClient(Echo, connection.transport).say({ payload });
          return { id: answer.id, back: payload.equals(answer.payload) };
        }),
      );
      expect(answers).toEqual(ids.map((id) => ({ id, back: true })));
    });

    test("serves many ids at once, and reaches as many meanwhile", async () => {
      await using bench = await kind.open();
      await using hosted = await startCounter(bench, manner);
      const { broker, counter } = hosted;
      const ids = Array.from({ length: MANY }, () => broker.nextId());
      // Each is connected to at once: go-plugin forgets an announcement after five seconds.
      const served = ids.map(async (id) => {
        await broker.acceptAndServe(id, helper([], "", BigInt(id)));
        await counter.connect({ ids: [id] });
      });
      const echo = async () => {
        const echoes = await counter.serveEchoes({ count: MANY });
        const said = echoes.ids.map(async (id) => createClient(Echo, (await broker.dial(id)).transport).say({}));
        expect((await Promise.all(said)).map(({ id }) => id)).toEqual(echoes.ids);
      };
      await Promise.all([...served, echo()]);
      const { sums } = await counter.sumAll({ a: 1000n, b: 2000n });
      expect(new Set(sums)).toEqual(new Set(ids.map((id) => 3000n + BigInt(id))));
      expect(sums).toHaveLength(MANY);
    });

    test.runIf(manner.multiplex)("a lost connection is knocked for again, in both directions", async () => {
      await using bench = await kind.open();
      await using hosted = await startCounter(bench, manner);
      const { broker, counter } = hosted;
      const id = broker.nextId();
      const { ids } = await counter.serveEchoes({ count: 1 });
      const first = await broker.acceptAndServe(id, helper([], "", 1n));
      await using connection = await broker.dial(ids[0] as number);
      const echo = createClient(Echo, connection.transport);
      await counter.connect({ ids: [id] });
      expect((await counter.sumAll({ a: 1n, b: 1n })).sums).toEqual([3n]);
      await first.close();
      await using _second = await broker.acceptAndServe(id, helper([], "", 2n));
      expect((await counter.sumAll({ a: 1n, b: 1n })).sums).toEqual([4n]);
      await counter.dropEchoes({});
      await eventually(() => echo.say({}).then((said) => said.id === ids[0]), {
        what: "another connection",
        timeoutMs: 30_000,
      });
    });

    test("leaves no socket behind, and only its owner can use one", async () => {
      await using bench = await kind.open();
      await using hosted = await startCounter(bench, manner);
      const { broker, sockets } = hosted;
      const before = readdirSync(sockets).length;
      const listeners = await Promise.all([broker.accept(broker.nextId()), broker.accept(broker.nextId())]);
      const made = readdirSync(sockets).filter((name) => name.startsWith("plugin"));
      expect(made).toHaveLength(manner.multiplex ? 0 : 2);
      for (const name of made) expect(statSync(join(sockets, name)).mode & 0o777).toBe(0o600);
      await listeners[0]?.close();
      await broker.close();
      await eventually(() => readdirSync(sockets).length === before, { what: "the sockets to go" });
      expect(await failureOf(broker.accept(7))).toMatchObject({
        code: "closed",
        message: expect.stringContaining("broker closed"),
      });
      expect((await failureOf(broker.dial(7))).code).toBe("closed");
    });

    test("when the plugin ends, those who wait are told", async () => {
      await using bench = await kind.open();
      await using hosted = await startCounter(bench, manner);
      const { broker, runner } = hosted;
      const [waiting, dialling] = [await broker.accept(1), failureOf(broker.dial(4711))];
      const accepting = failureOf(waiting.accept());
      await runner.kill();
      expect((await dialling).code).toBe("plugin-exited");
      expect((await failureOf(broker.dial(4711))).code).toBe("plugin-exited");
      await broker.close();
      expect((await accepting).code).toBe(manner.multiplex ? "plugin-exited" : "closed");
    });
  });
}
