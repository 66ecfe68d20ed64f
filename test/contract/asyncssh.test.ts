import { describe } from "vitest";
import { hasTier } from "../tiers/tiers.ts";
import { runnerContract } from "./runner.contract.ts";
import { asyncSshKind } from "./runner-kinds.ts";

describe.skipIf(!hasTier("asyncssh"))("asyncssh", () => runnerContract(asyncSshKind));
