import { describe } from "vitest";
import { hasTier } from "../tiers/tiers.ts";
import { runnerContract } from "./runner.contract.ts";
import { spareKind } from "./runner-kinds.ts";

describe.skipIf(!hasTier("openssh"))("openssh", () => runnerContract(spareKind));
