import { createConnection } from "node:net";
import type { Duplex } from "node:stream";
import type { Address } from "../contract/address.ts";
import { formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import type { AddrTranslator, AttachedRunner } from "../contract/runner.ts";
import { within } from "../lifetime/deadline.ts";

/** Who knows the way to the plugin's addresses: any runner. */
export type Reaches = AddrTranslator & Pick<AttachedRunner, "openStream">;

/**
 * Connects to an address of the plugin: directly where the runner can, otherwise by way of an address on the host's
 * side.
 *
 * @throws {PluginError} what the runner threw; `forward-failed` if nothing answers; `aborted`
 */
export function openPluginStream(runner: Reaches, plugin: Address, signal: AbortSignal): Promise<Duplex> {
  const open = async (over: AbortSignal) => {
    if (runner.openStream) return runner.openStream(plugin, over);
    return connect(await runner.pluginToHost(plugin, over), over);
  };
  return within({ signal }, open, (late) => late.destroy());
}

/**
 * Connects to an address on the host's side.
 *
 * @throws {PluginError} `forward-failed` if nothing answers; `aborted`
 */
export function openHostStream(host: Address, signal: AbortSignal): Promise<Duplex> {
  return within(
    { signal },
    (over) => connect(host, over),
    (late) => late.destroy(),
  );
}

function connect(host: Address, over: AbortSignal): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const to = host.network === "unix" ? { path: host.path } : { host: host.host || "127.0.0.1", port: host.port };
    const socket = createConnection({ ...to, noDelay: true, allowHalfOpen: true }, () => resolve(socket));
    socket.on("error", (cause) => {
      const what = `The plugin cannot be reached at ${formatAddress(host)}: ${cause.message}.`;
      reject(new PluginError("forward-failed", what, { cause }));
    });
    over.addEventListener("abort", () => socket.connecting && socket.destroy(), { once: true });
  });
}
