import { createClient, type Client as ServiceClient } from "@connectrpc/connect";
import { Client } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import type { Destination } from "../../src/connect/destination.ts";
import type { Runner } from "../../src/contract/runner.ts";
import type { PluginOptions } from "../../src/runner/plugin-options.ts";
import type { Bench } from "../contract/runner-kinds.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import type { GoPluginVersion } from "../plugins/go-plugins.ts";
import { programOn } from "./program-on.ts";

export const HANDSHAKE = { protocolVersion: 1, magicCookieKey: "KV_PLUGIN_COOKIE", magicCookieValue: "kv" };

/** A busy machine needs longer than a host would wait; a test of these limits sets its own. */
const PATIENT = { shutdownTimeoutMs: 30_000, pingTimeoutMs: 30_000 };

/** All options, also those that exclude each other. */
type Alternative<Options> = { [Name in AllKeys<Options>]?: ValueOf<Options, Name> };
type AllKeys<Options> = Options extends unknown ? keyof Options : never;
type ValueOf<Options, Name> = Options extends unknown ? (Name extends keyof Options ? Options[Name] : never) : never;

/** What differs from a well-behaved plugin and a patient host with the default options otherwise. */
export interface Difference extends Partial<Omit<Alternative<ClientOptions>, "runnerFunc">> {
  /** The plugin's flags, see `test/plugins/go/kv/behaviour.go`. */
  flags?: readonly string[];
  /**
   * The go-plugin that the plugin is built with.
   * @default "1.8"
   */
  goPlugin?: GoPluginVersion;
  /** What runs in the place of the plugin; the plugin's own command line comes after it. */
  wrapper?: readonly string[];
  /** For the runner. */
  runner?: Partial<PluginOptions & ConnectOptions & { destination: Destination }>;
}

/** A client that hosts a test plugin, and the runners that it has made so far. */
export interface HostedPlugin extends AsyncDisposable {
  readonly client: Client;
  /** The runner of the last start. */
  readonly runner: Runner;
  readonly runners: readonly Runner[];
}

/** The same for the plugin `kv`. */
export interface Hosted extends HostedPlugin {
  /** The plugin's service, after the start. */
  readonly kv: ServiceClient<typeof KV>;
}

/** A client for the plugin `kv` on a bench. */
export async function hostKv(bench: Bench, difference: Difference = {}): Promise<Hosted> {
  const hosted = await hostPlugin(bench, "kv", { handshakeConfig: HANDSHAKE, ...difference });
  return Object.defineProperties(hosted, {
    kv: { get: () => createClient(KV, hosted.client.transport) },
  }) as Hosted;
}

/** A client for any program of `test/plugins/go`. */
export async function hostPlugin(
  bench: Bench,
  program: string,
  { flags = [], goPlugin = "1.8", wrapper = [], runner = {}, ...options }: Difference,
): Promise<HostedPlugin> {
  const path = await programOn(bench, program, goPlugin);
  const runners: Runner[] = [];
  const client = new Client({
    runnerFunc: ({ environment }) => {
      const command = [...wrapper, path, ...flags] as unknown as PluginOptions["command"];
      const made = bench.runner({ command, ...runner, environment: { ...environment, ...runner.environment } });
      runners.push(made);
      return made;
    },
    ...PATIENT,
    ...options,
  } as ClientOptions);
  return {
    client,
    runners,
    get runner() {
      const last = runners.at(-1);
      if (!last) throw new Error("Nothing was started yet.");
      return last;
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
}

/** The same, started. */
export async function startKvOn(bench: Bench, difference: Difference = {}): Promise<Hosted> {
  const hosted = await hostKv(bench, difference);
  await hosted.client.start();
  return hosted;
}

/** Gives each value, one after the other. */
export async function* each<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}
