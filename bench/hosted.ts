import { createClient, type Client as ServiceClient } from "@connectrpc/connect";
import { Client } from "../src/client.ts";
import type { Address, PluginOptions, Runner } from "../src/index.ts";
import { Counter } from "../test/plugins/gen/counter_pb.ts";
import { KV } from "../test/plugins/gen/kv_pb.ts";
import { buildProgram } from "../test/plugins/go-plugins.ts";
import { rerouted } from "./ways/rerouted.ts";

/** How a plugin is hosted. */
export interface Manner {
  readonly program: "kv" | "counter";
  readonly multiplex?: boolean;
  readonly autoMtls: boolean;
}

/** A Go plugin that runs, and its host. Disposing it ends both. */
export interface Hosted extends AsyncDisposable {
  readonly client: Client;
  readonly runner: Runner;
  /** Where it listens, as it says itself. */
  readonly address: Address;
  readonly kv: ServiceClient<typeof KV>;
  readonly counter: ServiceClient<typeof Counter>;
}

const COOKIES = { kv: "KV_PLUGIN_COOKIE", counter: "COUNTER_PLUGIN_COOKIE" };

/** Starts a plugin of the tests, built with go-plugin 1.8. When it resolves, it can be called. */
export async function host(
  makeRunner: (plugin: PluginOptions) => Runner,
  { program, multiplex = false, autoMtls }: Manner,
): Promise<Hosted> {
  const path = await buildProgram(program);
  let runner: Runner | undefined;
  let address: Address | undefined;
  const client = new Client({
    handshakeConfig: { protocolVersion: 1, magicCookieKey: COOKIES[program], magicCookieValue: program },
    autoMtls,
    grpcBrokerMultiplex: multiplex,
    runnerFunc: ({ environment }) => {
      const made = makeRunner({ command: [path], environment });
      runner = made;
      return watched(made, (known) => {
        address ??= known;
      });
    },
  });
  try {
    const transport = await client.start();
    if (!runner || !address) throw new TypeError("The client has started a plugin without its runner.");
    const services = { kv: createClient(KV, transport), counter: createClient(Counter, transport) };
    return { client, runner, address, ...services, [Symbol.asyncDispose]: () => client.kill() };
  } catch (failure) {
    await client.kill();
    throw failure;
  }
}

/** The same runner, which says what addresses of the plugin it is asked for. */
function watched(runner: Runner, asked: (address: Address) => void): Runner {
  const open = runner.openStream?.bind(runner);
  return rerouted(runner, {
    openStream:
      open &&
      ((address, signal) => {
        asked(address);
        return open(address, signal);
      }),
    pluginToHost: (address, signal) => {
      asked(address);
      return runner.pluginToHost(address, signal);
    },
  });
}
