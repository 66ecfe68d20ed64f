import { describe } from "vitest";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { addressContract } from "./contract-addresses.ts";
import { embeddedKindWith, opensshKind, type RunnerKind } from "./runner-kinds.ts";

/** Servers that refuse to forward, each in its way. Addresses must be reached all the same. */
const KINDS: readonly RunnerKind[] = [
  embeddedKindWith(" without any forwarding", { allowTcpForwarding: false }),
  embeddedKindWith(" that knows no unix sockets", { knowsStreamLocal: false }),
  embeddedKindWith(" that is not asked", {}, { relay: "always" }),
];

describe.each(KINDS)("$name", (kind) => addressContract(kind));

const user = hasTier("login") ? TEST_LOGIN : undefined;
describe.skipIf(!hasTier("openssh"))("openssh, DisableForwarding", () =>
  addressContract(opensshKind(user, ["DisableForwarding yes"])),
);
