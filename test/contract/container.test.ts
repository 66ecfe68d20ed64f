import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { type ContainerServer, startContainer } from "../servers/container.ts";
import { SUITES } from "../servers/docker.ts";
import { hasTier } from "../tiers/tiers.ts";
import { runnerContract } from "./runner.contract.ts";
import { containerKind } from "./runner-kinds.ts";

describe.skipIf(!hasTier("container")).each(SUITES)("container, %s", (suite) => {
  const shared = mkdtempSync(join(tmpdir(), "gpc"));
  chmodSync(shared, 0o755);
  let container: ContainerServer;

  beforeAll(async () => {
    container = await startContainer({ suite, shared, samePids: true });
  });
  afterAll(async () => {
    await container.stop();
    rmSync(shared, { recursive: true });
  });

  runnerContract(containerKind(`sshd of ${suite}`, shared, () => container));
});
