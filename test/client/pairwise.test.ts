import { createClient } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { type Bench, localKind, opensshKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { Echo } from "../plugins/gen/counter_pb.ts";
import { HostService } from "../plugins/gen/kv_pb.ts";
import { buildProgram, GO_PLUGIN_VERSIONS } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { pairsOf, pairwise, product, type Row } from "../tools/pairwise.ts";
import { type Difference, type HostedPlugin, hostKv, startKvOn } from "./started-client.ts";
import { hostCounter, startCounterOn } from "./started-counter.ts";

const FACTORS = {
  runner: ["local", "openssh"],
  autoMtls: [true, false],
  multiplex: [false, true],
  network: ["unix", "tcp"],
  goPlugin: ["1.4", "1.6", "1.8"],
  program: ["kv", "counter"],
} as const;

type Case = Row<typeof FACTORS>;

/** go-plugin learned to multiplex with 1.6. */
const canServe = ({ multiplex, goPlugin }: Case) => !(multiplex && goPlugin === "1.4");
const SERVED = pairwise(FACTORS, canServe);
const REFUSED = pairwise(FACTORS, (row) => !canServe(row));

const NAME = "$runner, AutoMTLS $autoMtls, multiplex $multiplex, $network, go-plugin $goPlugin, $program";
const TOO_OLD =
  "client requested gRPC broker multiplexing but plugin does not support the feature; " +
  "for Go plugins, you will need to update the github.com/hashicorp/go-plugin dependency and recompile";

test("every two settings meet in a case", () => {
  expect(FACTORS.goPlugin).toEqual(GO_PLUGIN_VERSIONS);
  const served = new Set(SERVED.flatMap(pairsOf));
  const [never = "", ...others] = new Set(
    product(FACTORS)
      .flatMap(pairsOf)
      .filter((pair) => !served.has(pair)),
  );
  expect([never, others]).toEqual(["multiplex: true, goPlugin: 1.4", []]);
  expect(REFUSED.flatMap(pairsOf)).toContain(never);
  // Three versions with two of something else make six at least, and all of them would be 96.
  expect(SERVED.length + REFUSED.length).toBeLessThan(16);
});

describe.skipIf(!hasTier("go"))("host and plugin", () => {
  beforeAll(async () => {
    for (const goPlugin of GO_PLUGIN_VERSIONS) {
      for (const program of ["kv", "counter"]) await buildProgram(program, { goPlugin });
    }
  }, 10 * 60_000);

  describe.each(["local", "openssh"] as const)("of runner %s", (runner) => {
    const rows = (all: readonly Case[]) => all.filter((row) => row.runner === runner);
    const kind = runner === "local" ? localKind : opensshKind();

    describe.skipIf(runner === "openssh" && !hasTier("openssh"))("", () => {
      test.each(rows(SERVED))(`come together: ${NAME}`, async (row) => {
        await using bench = await kind.open();
        if (row.program === "kv") await callKv(row, bench);
        else await callCounter(row, bench);
      });

      test.each(rows(REFUSED))(`cannot: ${NAME}`, async (row) => {
        await using bench = await kind.open();
        const host = row.program === "kv" ? hostKv : hostCounter;
        await using hosted = await host(bench, differenceOf(row));
        const failure = await failureOf(hosted.client.start());
        expect(failure).toMatchObject({ code: "handshake-failed", message: expect.stringContaining(TOO_OLD) });
        expect(await hosted.client.exitReason()).toEqual({ kind: "start-failed", error: failure });
        // It was ended before anybody was told.
        expect(await hosted.runner.wait()).toMatchObject({ code: null });
      });
    });
  });
});

/** What a case says, for a client. */
function differenceOf({ autoMtls, multiplex, network, goPlugin }: Case): Difference {
  return {
    autoMtls,
    grpcBrokerMultiplex: multiplex,
    goPlugin,
    flags: network === "tcp" ? ["-tcp"] : [],
  } as Difference;
}

/** Calls the plugin, which calls back. */
async function callKv(row: Case, bench: Bench): Promise<void> {
  await using hosted = await startKvOn(bench, differenceOf(row));
  const { kv, client } = hosted;
  const { environment } = await kv.inspect({});
  expect([environment.PLUGIN_CLIENT_CERT !== undefined, environment.PLUGIN_MULTIPLEX_GRPC]).toEqual([
    row.autoMtls,
    row.multiplex ? "true" : undefined,
  ]);
  await using server = await client.broker.acceptAndServe(client.broker.nextId(), (router) => {
    router.service(HostService, { greet: ({ text }) => ({ text: `Hello, ${text}` }) });
  });
  expect((await kv.callHost({ brokerId: server.id, text: "host" })).text).toBe("Hello, host");
  await client.ping();
  await expectGracefulEnd(hosted);
}

/** Is called back by the plugin, and calls what the plugin serves beside. */
async function callCounter(row: Case, bench: Bench): Promise<void> {
  await using hosted = await startCounterOn(bench, differenceOf(row));
  const { counter, typed, client } = hosted;
  await typed.put("a", 20);
  await typed.put("a", 22);
  expect(await typed.get("a")).toBe(42);
  const { ids } = await counter.serveEchoes({ count: 2 });
  const said = ids.map(async (id) => {
    await using connection = await client.broker.dial(id);
    return (await createClient(Echo, connection.transport).say({ payload: Buffer.alloc(100_000) })).id;
  });
  expect(await Promise.all(said)).toEqual(ids);
  await expectGracefulEnd(hosted);
}

async function expectGracefulEnd({ client }: HostedPlugin): Promise<void> {
  await client.kill();
  expect(await client.exitReason()).toEqual({ kind: "killed", exit: { code: 0, signal: null } });
}
