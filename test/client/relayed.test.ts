import { beforeAll, describe } from "vitest";
import { embeddedKindWith, opensshKind } from "../contract/runner-kinds.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { callContract } from "./contract-calls.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;

describe.skipIf(!hasTier("go"))("go, with a server that forwards nothing", () => {
  beforeAll(buildKv, BUILD_MS);
  callContract(embeddedKindWith("", { allowTcpForwarding: false }));
});

describe.skipIf(!hasTier("go") || !hasTier("openssh"))("go, with sshd that forwards nothing", () => {
  beforeAll(buildKv, BUILD_MS);
  callContract(opensshKind(hasTier("login") ? TEST_LOGIN : undefined, ["DisableForwarding yes"]));
});
