import { describe } from "vitest";
import { addressContract } from "./contract-addresses.ts";
import { checkContract } from "./contract-checks.ts";
import { endContract } from "./contract-ends.ts";
import { failureContract } from "./contract-failures.ts";
import { inputContract } from "./contract-inputs.ts";
import { startContract } from "./contract-starts.ts";
import { streamContract } from "./contract-streams.ts";
import type { RunnerKind } from "./runner-kinds.ts";

/** What any runner must do, whatever is between it and its plugin. */
export function runnerContract(kind: RunnerKind): void {
  describe(kind.name, () => {
    startContract(kind);
    inputContract(kind);
    streamContract(kind);
    endContract(kind);
    addressContract(kind);
    failureContract(kind);
    checkContract(kind);
  });
}
