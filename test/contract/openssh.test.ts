import { describe } from "vitest";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { runnerContract } from "./runner.contract.ts";
import { opensshKind } from "./runner-kinds.ts";

describe.skipIf(!hasTier("openssh"))("openssh", () => runnerContract(opensshKind()));
describe.skipIf(!hasTier("login"))("login", () => runnerContract(opensshKind(TEST_LOGIN)));
