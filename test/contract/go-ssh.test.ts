import { describe } from "vitest";
import { hasTier } from "../tiers/tiers.ts";
import { runnerContract } from "./runner.contract.ts";
import { goSshKind } from "./runner-kinds.ts";

describe.skipIf(!hasTier("go-ssh"))("go-ssh", () => runnerContract(goSshKind));
