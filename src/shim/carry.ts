import { type Address, formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import type { Runner } from "../index.ts";
import type { HostContract } from "./forwarded-environment.ts";
import type { HandshakeFields } from "./handshake-fields.ts";
import { hostOfCookie } from "./host-programs.ts";
import type { Log } from "./log-words.ts";
import type { CarryMode } from "./settings.ts";

/** A way from the host to the plugin, until it is closed. */
export interface Carry {
  /** Where the host connects. */
  readonly address: Address;
  /** The certificate that the host is to see there, as it stands in the handshake line; `undefined`: the plugin's own. */
  readonly certificate?: string;
  /** Ends it and whatever goes through it. */
  close(): Promise<void>;
}

/** What a way is made of. */
export interface CarryParts {
  readonly handshake: HandshakeFields;
  readonly contract: HostContract;
  readonly runner: Runner;
  readonly hostNetwork: "unix" | "tcp";
  readonly log: Log;
}

/**
 * How the connection gets across. Passing bytes one to one is right wherever no address travels inside of it: with
 * net/rpc and with a multiplexed broker everything is in the one connection, and some hosts use no broker. Otherwise the
 * addresses in it have to be rewritten, so TLS must end here.
 */
export function chooseCarry(mode: CarryMode, contract: HostContract, protocol: string): "pass" | "terminate" {
  if (mode !== "auto") return mode;
  if (contract.multiplex || protocol !== "grpc") return "pass";
  return hostOfCookie(contract.cookie.name)?.brokerless ? "pass" : "terminate";
}

/** Makes the way that was chosen. */
export async function startCarry(chosen: "pass" | "terminate", parts: CarryParts, signal: AbortSignal): Promise<Carry> {
  const { handshake, runner, log } = parts;
  const carry = chosen === "pass" ? await pass(parts, signal) : await terminate(parts, signal);
  log("debug", "the host's connections are carried to the plugin", {
    carry: chosen,
    protocol: handshake.protocol,
    host_address: formatAddress(carry.address),
    plugin_address: formatAddress(handshake.address),
    plugin: runner.id,
  });
  return carry;
}

/** Nothing is connected to before the host connects, and then once for each of its connections. The runner ends it. */
async function pass({ handshake, runner }: CarryParts, signal: AbortSignal): Promise<Carry> {
  return { address: await runner.pluginToHost(handshake.address, signal), close: async () => {} };
}

async function terminate(_parts: CarryParts, _signal: AbortSignal): Promise<Carry> {
  throw new PluginError(
    "unsupported",
    "The host uses gRPC without a multiplexed broker, and TLS cannot end here yet.",
    {
      hint: "If the host makes no use of the broker, say `--carry pass`.",
    },
  );
}
