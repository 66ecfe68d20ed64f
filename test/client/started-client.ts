import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { createClient, type Client as ServiceClient } from "@connectrpc/connect";
import { Client } from "../../src/client/client.ts";
import type { ClientOptions } from "../../src/client/client-options.ts";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import type { Destination } from "../../src/connect/destination.ts";
import type { Runner } from "../../src/contract/runner.ts";
import type { PluginOptions } from "../../src/runner/plugin-options.ts";
import type { Bench } from "../contract/runner-kinds.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { buildKv, type GoPluginVersion } from "../plugins/go-plugins.ts";

export const HANDSHAKE = { protocolVersion: 1, magicCookieKey: "KV_PLUGIN_COOKIE", magicCookieValue: "kv" };

/** All options, also those that exclude each other. */
type Alternative<Options> = { [Name in AllKeys<Options>]?: ValueOf<Options, Name> };
type AllKeys<Options> = Options extends unknown ? keyof Options : never;
type ValueOf<Options, Name> = Options extends unknown ? (Name extends keyof Options ? Options[Name] : never) : never;

/** What differs from a well-behaved plugin and a host with the default options. */
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

/** A client that hosts the test plugin, and the runners that it has made so far. */
export interface Hosted extends AsyncDisposable {
  readonly client: Client;
  /** The runner of the last start. */
  readonly runner: Runner;
  readonly runners: readonly Runner[];
  /** The plugin's service, after the start. */
  readonly kv: ServiceClient<typeof KV>;
}

/** A client for the plugin `kv` on a bench. */
export async function hostKv(
  bench: Bench,
  { flags = [], goPlugin = "1.8", wrapper = [], runner = {}, ...options }: Difference = {},
) {
  const program = await kvOn(bench, goPlugin);
  const runners: Runner[] = [];
  const client = new Client({
    handshakeConfig: HANDSHAKE,
    runnerFunc: ({ environment }) => {
      const command = [...wrapper, program, ...flags] as unknown as PluginOptions["command"];
      const made = bench.runner({ command, ...runner, environment: { ...environment, ...runner.environment } });
      runners.push(made);
      return made;
    },
    ...options,
  } as ClientOptions);
  const hosted: Hosted = {
    client,
    runners,
    get runner() {
      const last = runners.at(-1);
      if (!last) throw new Error("Nothing was started yet.");
      return last;
    },
    get kv() {
      return createClient(KV, client.transport);
    },
    [Symbol.asyncDispose]: () => client[Symbol.asyncDispose](),
  };
  return hosted;
}

/** The same, started. */
export async function startKvOn(bench: Bench, difference: Difference = {}): Promise<Hosted> {
  const hosted = await hostKv(bench, difference);
  await hosted.client.start();
  return hosted;
}

/** The plugin's program in the bench's directory, where any login can read it. */
async function kvOn(bench: Bench, goPlugin: GoPluginVersion): Promise<string> {
  const directory = goPlugin === "1.8" ? bench.directory : join(bench.directory, `go-plugin-${goPlugin}`);
  const path = join(directory, "kv");
  if (existsSync(path)) return path;
  mkdirSync(directory, { recursive: true });
  const built = await buildKv({ goPlugin });
  try {
    linkSync(built, path);
  } catch {
    copyFileSync(built, path);
  }
  chmodSync(path, 0o755);
  return path;
}

/** Gives each value, one after the other. */
export async function* each<T>(values: Iterable<T>): AsyncGenerator<T> {
  yield* values;
}
