import { describe } from "vitest";
import { hasTier } from "../tiers/tiers.ts";
import { runnerContract } from "./runner.contract.ts";
import { dropbearKind } from "./runner-kinds.ts";

describe.skipIf(!hasTier("dropbear"))("dropbear", () => runnerContract(dropbearKind("installed")));
