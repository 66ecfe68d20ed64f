import { describe } from "vitest";
import { localKind } from "../../contract/runner-kinds.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { brokerContract } from "./broker.contract.ts";

describe.skipIf(!hasTier("go")).each([
  { autoMtls: true, multiplex: false },
  { autoMtls: false, multiplex: false },
  { autoMtls: true, multiplex: true },
  { autoMtls: false, multiplex: true },
])("go", (manner) => brokerContract(localKind, manner));
