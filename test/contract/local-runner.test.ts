import { runnerContract } from "./runner.contract.ts";
import { localKind } from "./runner-kinds.ts";

runnerContract(localKind);
