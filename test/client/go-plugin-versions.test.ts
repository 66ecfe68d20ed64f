import { describe, expect, test } from "vitest";
import { localKind } from "../contract/runner-kinds.ts";
import { GO_PLUGIN_VERSIONS } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { hostKv } from "./started-client.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;

describe.skipIf(!hasTier("go"))("a client and a plugin on", () => {
  test.each(GO_PLUGIN_VERSIONS)(
    "go-plugin %s: AutoMTLS, a call, a graceful end",
    { timeout: BUILD_MS },
    async (goPlugin) => {
      await using bench = await localKind.open();
      await using hosted = await hostKv(bench, { goPlugin });
      await hosted.client.start();
      await hosted.kv.put({ key: "a", value: Uint8Array.of(1) });
      expect((await hosted.kv.get({ key: "a" })).value).toEqual(Uint8Array.of(1));
      expect((await hosted.kv.inspect({})).environment.PLUGIN_CLIENT_CERT).toContain("BEGIN CERTIFICATE");
      await hosted.client.kill();
      expect(await hosted.client.wait()).toMatchObject({ code: 0 });
    },
  );
});
