import type { ConnectRouter, Client as ServiceClient } from "@connectrpc/connect";
import { createClient } from "@connectrpc/connect";
import type { GrpcPlugin } from "../../src/client/plugin-set.ts";
import type { BrokerServer } from "../../src/dial/broker/broker-server.ts";
import type { Bench } from "../contract/runner-kinds.ts";
import { AddHelper, Counter } from "../plugins/gen/counter_pb.ts";
import { type Difference, type HostedPlugin, hostPlugin } from "./started-client.ts";

const HANDSHAKE = { protocolVersion: 1, magicCookieKey: "COUNTER_PLUGIN_COOKIE", magicCookieValue: "counter" };

/** What a host makes of the plugin `counter`: a counter whose sums this host does, asked by way of the broker. */
export interface TypedCounter {
  put(key: string, value: number): Promise<void>;
  get(key: string): Promise<number>;
  /** Aborted when the plugin is gone. */
  readonly signal: AbortSignal;
}

/** Makes a {@link TypedCounter}. */
export const typedCounter: GrpcPlugin<TypedCounter> = {
  grpcClient: ({ transport, broker, signal }) => {
    const counter = createClient(Counter, transport);
    return {
      signal,
      put: async (key, value) => {
        await using served: BrokerServer = await broker.acceptAndServe(broker.nextId(), sums(), signal);
        await counter.put({ key, value: BigInt(value), addServer: served.id }, { signal });
      },
      get: async (key) => Number((await counter.get({ key })).value),
    };
  },
};

/** Does sums for the plugin, with `more` on top. */
export function sums(more = 0n): (router: ConnectRouter) => void {
  return (router) => {
    router.service(AddHelper, { sum: ({ a, b }) => ({ sum: a + b + more }) });
  };
}

/** A client that hosts the plugin `counter`, started. */
export interface HostedCounter extends HostedPlugin {
  readonly counter: ServiceClient<typeof Counter>;
  readonly typed: TypedCounter;
}

/** A client for the plugin `counter` on a bench, started. */
export async function startCounterOn(bench: Bench, difference: Difference = {}): Promise<HostedCounter> {
  const hosted = await hostCounter(bench, difference);
  const typed = (await hosted.client.dispense("counter")) as TypedCounter;
  return Object.assign(hosted, { counter: createClient(Counter, hosted.client.transport), typed });
}

/** The same, not started. */
export function hostCounter(bench: Bench, difference: Difference = {}): Promise<HostedPlugin> {
  return hostPlugin(bench, "counter", {
    handshakeConfig: HANDSHAKE,
    plugins: { counter: typedCounter },
    ...difference,
  });
}
