import { describe } from "vitest";
import { embeddedKind } from "../contract/runner-kinds.ts";
import { hasTier } from "../tiers/tiers.ts";
import { clientContract } from "./client.contract.ts";

describe.skipIf(!hasTier("go"))("go", () => clientContract(embeddedKind));
