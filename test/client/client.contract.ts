import { beforeAll, describe } from "vitest";
import type { RunnerKind } from "../contract/runner-kinds.ts";
import { buildKv, buildProgram } from "../plugins/go-plugins.ts";
import { brokerContract } from "./contract-broker.ts";
import { callContract } from "./contract-calls.ts";
import { endContract } from "./contract-ends.ts";
import { handshakeContract } from "./contract-handshakes.ts";
import { outputContract } from "./contract-output.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;

/** What a client does with a real plugin, whatever runner brings it there. */
export function clientContract(kind: RunnerKind): void {
  describe(`Client with ${kind.name}`, () => {
    beforeAll(() => Promise.all([buildKv(), buildProgram("counter")]), BUILD_MS);
    callContract(kind);
    handshakeContract(kind);
    endContract(kind);
    outputContract(kind);
    brokerContract(kind);
  });
}
