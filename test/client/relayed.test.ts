import { randomBytes } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import { embeddedKindWith, opensshKind, type RunnerKind } from "../contract/runner-kinds.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { callbackContract } from "./contract-calls.ts";
import { startKvOn } from "./started-client.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;
const TWENTY_MEGABYTES = 20_000_000;

const user = hasTier("login") ? TEST_LOGIN : undefined;
const KINDS: readonly [kind: RunnerKind, available: boolean][] = [
  [embeddedKindWith(" that forwards nothing", { allowTcpForwarding: false }), hasTier("go")],
  [opensshKind(user, ["DisableForwarding yes"]), hasTier("go") && hasTier("openssh")],
];

for (const [kind, available] of KINDS) {
  describe.skipIf(!available)(`go, ${kind.name}`, () => {
    beforeAll(buildKv, BUILD_MS);

    test("a plugin is called, at once and with messages of 20 MB", { timeout: 240_000 }, async () => {
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench);
      const sizes: number[] = [];
      for await (const { payload } of hosted.kv.count({ from: 1, to: 2, size: TWENTY_MEGABYTES })) {
        sizes.push(payload.length);
      }
      expect(sizes).toEqual([TWENTY_MEGABYTES, TWENTY_MEGABYTES]);
      const payload = randomBytes(3_000_000);
      const echoes = await Promise.all([1, 2, 3].map(() => hosted.kv.echo({ payload })));
      for (const echo of echoes) expect(Buffer.compare(echo.payload, payload)).toBe(0);
      expect(await hosted.runner.diagnose()).toContain("a relay on the box");
    });

    callbackContract(kind);
  });
}
