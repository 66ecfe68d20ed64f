import { PluginError } from "../contract/errors.ts";
import type { Carry } from "./carry.ts";
import type { HostContract } from "./forwarded-environment.ts";

/** TLS ends here on both sides, and the addresses that brokers announce are rewritten. */
export function terminating(_contract: HostContract, _network: "unix" | "tcp"): Carry {
  throw new PluginError("unsupported", "The host may use gRPC's broker, whose addresses are not rewritten yet.", {
    hint: "If the host makes no use of the broker, say `--carry pass`.",
  });
}
