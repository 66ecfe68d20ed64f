import type { Address } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import type { ReattachConfig } from "../contract/reattach.ts";
import type { Running } from "./running.ts";

/**
 * Where a plugin is reached on the host's side, by anybody who may.
 *
 * @throws {PluginError} `unsupported` if the plugin multiplexes; what `pluginToHost` threw
 */
export async function hostAddress(
  { runner, address, side, connection }: Running,
  signal?: AbortSignal,
): Promise<Address> {
  if (connection.multiplexed) {
    throw new PluginError("unsupported", "A plugin that multiplexes takes one connection only, and that is in use.", {
      hint: "Use the client's own `transport`, or start the plugin without `grpcBrokerMultiplex`.",
    });
  }
  return side === "host" ? address : runner.pluginToHost(address, signal);
}

/**
 * All that another host needs to take a plugin over.
 *
 * @throws {PluginError} as {@link hostAddress}
 */
export async function reattachConfigOf(running: Running, signal?: AbortSignal): Promise<ReattachConfig> {
  const { runner, version, address } = running;
  const { pid = 0, startTime, destination } = runner.process ?? {};
  return {
    protocol: "grpc",
    protocolVersion: version,
    addr: await hostAddress(running, signal),
    pid,
    ...(startTime === undefined ? {} : { processStartTime: startTime }),
    ...(destination === undefined ? {} : { destination, pluginAddr: address }),
  };
}
