import { describe } from "vitest";
import { localKind } from "../../contract/runner-kinds.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { brokerContract } from "./broker.contract.ts";

describe.skipIf(!hasTier("go"))("go", () => {
  brokerContract(localKind, { autoMtls: true });
  brokerContract(localKind, { autoMtls: false });
});
