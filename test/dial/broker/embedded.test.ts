import { describe } from "vitest";
import { embeddedKind } from "../../contract/runner-kinds.ts";
import { hasTier } from "../../tiers/tiers.ts";
import { brokerContract } from "./broker.contract.ts";

describe.skipIf(!hasTier("go")).each([
  { autoMtls: true, multiplex: false },
  { autoMtls: true, multiplex: true },
])("go", (manner) => brokerContract(embeddedKind, manner));
