import { describe } from "vitest";
import { commandContract } from "./contract-commands.ts";
import { forwardContract } from "./contract-forwards.ts";
import { orphanContract } from "./contract-orphans.ts";
import { restrictionContract } from "./contract-restrictions.ts";
import type { ServerKind } from "./server.ts";

/** What every kind of test server must do, so that a test that passes on one means something for the other. */
export function serverContract(kind: ServerKind): void {
  describe.skipIf(!kind.available)(`${kind.name} as a server`, () => {
    commandContract(kind);
    forwardContract(kind);
    restrictionContract(kind);
    orphanContract(kind);
  });
}
