import { describe } from "vitest";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { addressContract } from "./contract-addresses.ts";
import { embeddedKindWith, opensshKind } from "./runner-kinds.ts";

/** Servers that refuse to forward. Addresses must be reached all the same. */
describe("embedded, without any forwarding", () => {
  addressContract(embeddedKindWith(" without any forwarding", { allowTcpForwarding: false }));
});

const user = hasTier("login") ? TEST_LOGIN : undefined;
describe.skipIf(!hasTier("openssh"))("openssh, DisableForwarding", () =>
  addressContract(opensshKind(user, ["DisableForwarding yes"])),
);
