import type { ConnectRouter } from "@connectrpc/connect";
import { AddHelper } from "../../test/plugins/gen/counter_pb.ts";
import type { Hosted } from "../hosted.ts";
import { median } from "../statistics.ts";
import type { Row } from "./row.ts";
import { took } from "./took.ts";

/** The plugin calls the host while the host calls the plugin, by way of a forward for each id. */
export const callback = callbacks("callback", false);
/** The same inside the one connection that there is. */
export const multiplexed = callbacks("mux", true);

function callbacks(name: string, multiplex: boolean): Row {
  const how = multiplex ? "inside its one connection" : "over another connection";
  const label = multiplex ? "callback, mux" : "callback";
  return {
    name,
    what: `the plugin calls back, ${how}: the first time, then again`,
    figures: [
      { name: `first ${label}`, unit: "ms" },
      { name: label, unit: "ms" },
    ],
    measure: async ({ scale, autoMtls, hosted }) => {
      const plugin = await hosted({ program: "counter", multiplex, autoMtls });
      const { client, counter } = plugin;
      const { broker } = client;
      const id = broker.nextId();
      let server: AsyncDisposable | undefined;
      const first = await took(async () => {
        server = await broker.acceptAndServe(id, helper);
        // Adds up under the id, over a connection that is closed after this call.
        await counter.put({ key: `${id}`, value: 1n, addServer: id });
      });
      await server?.[Symbol.asyncDispose]();
      const times: number[] = [];
      await connected(plugin);
      for (let n = 0; n < scale.callbacks; n += 1) times.push(await took(() => counter.sumAll({ a: 1n, b: 2n })));
      return [first, median(times)];
    },
  };
}

const kept = new WeakMap<Hosted, Promise<unknown>>();

/** When it resolves, a plugin has one connection to the host that it keeps; it ends with the plugin. */
function connected(plugin: Hosted): Promise<unknown> {
  const connecting = kept.get(plugin) ?? connect(plugin);
  kept.set(plugin, connecting);
  return connecting;
}

async function connect({ client, counter }: Hosted): Promise<void> {
  const id = client.broker.nextId();
  await client.broker.acceptAndServe(id, helper);
  await counter.connect({ ids: [id] });
  await counter.sumAll({ a: 1n, b: 2n });
}

function helper(router: ConnectRouter): void {
  router.service(AddHelper, { sum: ({ a, b }) => ({ sum: a + b }) });
}
