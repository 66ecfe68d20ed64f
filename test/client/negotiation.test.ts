import { beforeAll, describe, expect, test } from "vitest";
import type { VersionedPlugins } from "../../src/client/plugin-set.ts";
import { localKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { KV } from "../plugins/gen/kv_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { type Difference, HANDSHAKE, hostKv } from "./started-client.ts";

const { protocolVersion: _, ...COOKIE } = HANDSHAKE;

/** A host with a set for each of some versions; what is in it has the version in its name. */
function sets(...versions: number[]): Difference {
  const versionedPlugins: VersionedPlugins = Object.fromEntries(versions.map((one) => [one, { [`kv${one}`]: KV }]));
  return { handshakeConfig: COOKIE, versionedPlugins };
}

/** A host that knows one version, as hosts did before there were sets. */
function legacy(version: number): Difference {
  return { handshakeConfig: { ...COOKIE, protocolVersion: version }, plugins: { [`kv${version}`]: KV } };
}

const THREE = ["-versions", "1,2,3"];

/** What a plugin serves, what a host knows, and what they agree on; or which version the plugin falls back to. */
const MATRIX: [plugin: string[], host: string, difference: Difference, agreed: number | { fallsBackTo: number }][] = [
  [THREE, "{1}", sets(1), 1],
  [THREE, "{2, 3}", sets(2, 3), 3],
  [THREE, "{3}", sets(3), 3],
  [THREE, "{4}", sets(4), { fallsBackTo: 1 }],
  [["-versions", "2,3"], "{1}", sets(1), { fallsBackTo: 2 }],
  [["-versions", "2,3"], "{1, 2}", sets(1, 2), 2],
  [THREE, "2, in the old way", legacy(2), 2],
  [THREE, "4, in the old way", legacy(4), { fallsBackTo: 1 }],
  [["-protocol-version", "2"], "{2, 3}", sets(2, 3), 2],
  [["-protocol-version", "1"], "{2, 3}", sets(2, 3), { fallsBackTo: 1 }],
  [["-protocol-version", "3"], "3, in the old way", legacy(3), 3],
  [["-protocol-version", "3"], "1, in the old way", legacy(1), { fallsBackTo: 3 }],
  [["-versions", "2,3", "-protocol-version", "1"], "{2} and 1", { ...sets(2), ...legacy(1) }, 2],
  [["-protocol-version", "1"], "{2} and 1", { ...sets(2), ...legacy(1) }, 1],
];

describe.skipIf(!hasTier("go"))("a plugin with", () => {
  beforeAll(buildKv, 6 * 60_000);

  test.each(MATRIX)("%j and a host of %s", async (flags, _host, difference, agreed) => {
    await using bench = await localKind.open();
    await using hosted = await hostKv(bench, { flags, ...difference });
    const { client } = hosted;
    if (typeof agreed === "number") {
      const kv = (await client.dispense(`kv${agreed}`)) as typeof hosted.kv;
      expect([(await kv.version({})).version, client.negotiatedVersion]).toEqual([agreed, agreed]);
      for (const other of [1, 2, 3, 4].filter((version) => version !== agreed)) {
        const failure = await failureOf(client.dispense(`kv${other}`));
        expect(failure.message).toContain(`[bad-options] unknown plugin type: kv${other}`);
      }
    } else {
      const failure = await failureOf(client.start());
      expect(failure.code).toBe("handshake-failed");
      expect(failure.message).toMatch(
        new RegExp(
          `incompatible API version with plugin\\. Plugin version: ${agreed.fallsBackTo}, Client versions: \\[`,
        ),
      );
      expect(client.negotiatedVersion).toBeUndefined();
    }
  });
});
