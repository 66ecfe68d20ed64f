import type { Carry } from "./carry.ts";
import type { HostContract } from "./forwarded-environment.ts";
import { hostOfCookie } from "./host-programs.ts";
import { passing } from "./pass.ts";
import type { CarryMode } from "./settings.ts";

/**
 * Chooses how the connection gets across. Passing bytes one to one is right wherever no address travels inside of them:
 * a multiplexed broker has everything in the one connection, and some hosts use no broker. Otherwise the addresses have
 * to be rewritten, so TLS ends here; only then is the code for that loaded.
 *
 * @throws {PluginError} `bad-options` if it does not go with the other settings
 */
export async function chooseCarry(mode: CarryMode, contract: HostContract, network: "unix" | "tcp"): Promise<Carry> {
  if (mode === "pass" || (mode === "auto" && needsNoRewriting(contract))) return passing(contract, network);
  const { terminating } = await import("./terminate.ts");
  return terminating(contract, network);
}

function needsNoRewriting({ multiplex, cookie }: HostContract): boolean {
  return multiplex || (hostOfCookie(cookie.name)?.brokerless ?? false);
}
