import { runnerContract } from "./runner.contract.ts";
import { embeddedKind } from "./runner-kinds.ts";

runnerContract(embeddedKind);
