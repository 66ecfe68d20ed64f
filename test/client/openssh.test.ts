import { describe } from "vitest";
import { opensshKind } from "../contract/runner-kinds.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { clientContract } from "./client.contract.ts";

const hasGo = hasTier("go");

describe.skipIf(!hasGo || !hasTier("openssh"))("go, openssh", () => clientContract(opensshKind()));
describe.skipIf(!hasGo || !hasTier("login"))("go, login", () => clientContract(opensshKind(TEST_LOGIN)));
