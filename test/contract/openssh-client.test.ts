import { describe } from "vitest";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { runnerContract } from "./runner.contract.ts";
import { opensshClientKind } from "./runner-kinds.ts";

describe.skipIf(!hasTier("openssh"))("openssh", () => runnerContract(opensshClientKind()));
describe.skipIf(!hasTier("login"))("login", () => runnerContract(opensshClientKind(TEST_LOGIN)));
