// A host whose clock is not the plugin's: calls it over the main connection and over brokered ones both ways, and says
// what came of it and what each side takes for the time.
import { Writable } from "node:stream";
import { createClient } from "@connectrpc/connect";
import type { SshRunnerOptions } from "../../src/index.ts";
import { AddHelper, Counter, Echo } from "../plugins/gen/counter_pb.ts";
import { begin, say } from "./orders.ts";

/** What the test wants. */
export interface SkewedOrders {
  runner: SshRunnerOptions;
  multiplex: boolean;
}

/** What the host says. */
export interface Meeting {
  /** In milliseconds since 1970, by the host's clock. */
  hostTime: number;
  /** The same by the plugin's: the time that stands in the first line of its log. */
  pluginTime: number;
  /** What the plugin had the host add, over a connection that the plugin made. */
  sum: number;
  /** What the plugin gave back, over a connection that the host made. */
  echo: string;
  exitCode: number | null;
}

const { orders, index, client: library } = await begin<SkewedOrders>();
let log = "";
const client = new library.Client({
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "COUNTER_PLUGIN_COOKIE", magicCookieValue: "counter" },
  grpcBrokerMultiplex: orders.multiplex,
  autoMtls: true,
  shutdownTimeoutMs: 20_000,
  stderr: new Writable({
    write: (chunk, _encoding, done) => {
      log += chunk;
      done();
    },
  }),
  runnerFunc: ({ environment }) => new index.SshRunner({ ...orders.runner, environment }),
});
const counter = createClient(Counter, await client.start());
const hostTime = Date.now();
// The plugin dials each id once.
for (const value of [3n, 4n]) await counter.put({ key: "a", value, addServer: await serveHelper() });
const { value } = await counter.get({ key: "a" });
const { ids } = await counter.serveEchoes({ count: 1 });
const echo = createClient(Echo, (await client.broker.dial(ids[0] ?? 0)).transport);
const { payload } = await echo.say({ payload: Buffer.from("hello") });
await client.ping();
await client.kill();
const { code } = await client.wait();
const stamp = /"@timestamp":"([^"]+)"/.exec(log)?.[1] ?? "";
say({
  hostTime,
  pluginTime: Date.parse(stamp),
  sum: Number(value),
  echo: Buffer.from(payload).toString(),
  exitCode: code,
} satisfies Meeting);

/** Serves the plugin at an id of its own, and gives that. */
async function serveHelper(): Promise<number> {
  const id = client.broker.nextId();
  await client.broker.acceptAndServe(id, (router) => {
    router.service(AddHelper, { sum: ({ a, b }) => ({ sum: a + b }) });
  });
  return id;
}
