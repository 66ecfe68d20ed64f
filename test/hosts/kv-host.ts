// A host with one `kv`, which it starts or which runs already: calls it, says where it is, and then does what the test
// wants. It says in the end why the plugin runs no longer.
import { createClient } from "@connectrpc/connect";
import type { ClientOptions } from "../../src/client.ts";
import type { PluginOptions, SshRunnerOptions } from "../../src/index.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { begin, say } from "./orders.ts";

/** What the test wants. */
export interface KvOrders {
  /** Starts the plugin: on a box, or with `local` on this machine. */
  runner?: (PluginOptions & { local: true }) | (SshRunnerOptions & { local?: never });
  /** What a host has said before, or what `kv -reattach` prints. */
  reattach?: unknown;
  options?: Partial<Pick<ClientOptions, "autoMtls" | "managed" | "shutdownTimeoutMs">>;
  /** Remembers the value under this key, or reads it. */
  put?: string;
  get?: string;
  /**
   * Then: `kill` the plugin; `wait` until it is gone or a signal comes; `exit` in the middle of a call.
   */
  deed: "kill" | "wait" | "exit";
}

const { orders, index, client: library } = await begin<KvOrders>();
const common = {
  handshakeConfig: { protocolVersion: 1, magicCookieKey: "KV_PLUGIN_COOKIE", magicCookieValue: "kv" },
  ...orders.options,
};
const client = new library.Client(
  orders.reattach
    ? ({ ...common, reattach: index.parseReattachConfig(orders.reattach) } as ClientOptions)
    : ({ ...common, runnerFunc: ({ environment }) => makeRunner(environment) } as ClientOptions),
);
const kv = createClient(KV, await client.start());
const { pid } = await kv.inspect({});
if (orders.put) await kv.put({ key: "a", value: Buffer.from(orders.put) });
const { value } = await kv.get({ key: "a" }).catch(() => ({ value: new Uint8Array() }));
// Certificates do not travel, so only a plugin without them can be taken over.
const config = orders.options?.autoMtls === false || orders.reattach ? await client.reattachConfig() : undefined;
say({ pid: Number(pid), value: Buffer.from(value).toString(), config });

if (orders.deed === "exit") {
  const underWay = kv.count({ from: 1, to: 2 ** 31 - 1, size: 1000 });
  for await (const _ of underWay) process.exit(7);
}
if (orders.deed === "kill") await client.kill();
const { kind } = await client.exitReason();
say({ kind });

function makeRunner(environment: Record<string, string>) {
  const { runner } = orders;
  if (!runner) throw new TypeError("There is nothing to start.");
  if (!runner.local) return new index.SshRunner({ ...runner, environment });
  const { local: _, ...options } = runner;
  return new index.LocalRunner({ ...options, environment });
}
