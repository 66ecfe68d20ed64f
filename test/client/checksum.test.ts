import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { localKind, opensshKind } from "../contract/runner-kinds.ts";
import { failureOf } from "../contract/said.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hasTier } from "../tiers/tiers.ts";
import { Collector } from "./collector.ts";
import { hostKv, startKvOn } from "./started-client.ts";

describe.each([
  ["LocalRunner", localKind, true],
  ["SshRunner, sshd", opensshKind(), hasTier("openssh")],
] as const)("a checksum, by %s,", (_name, kind, available) => {
  describe.skipIf(!available || !hasTier("go"))("", () => {
    beforeAll(buildKv, 6 * 60_000);

    test("that is the plugin's lets it start, with all that goes with a start", async () => {
      const checksum = createHash("sha256")
        .update(await readFile(await buildKv()))
        .digest();
      await using bench = await kind.open();
      await using hosted = await startKvOn(bench, { secureConfig: { checksum, hash: "sha256" } });
      await hosted.kv.put({ key: "a", value: Buffer.from("b") });
      expect((await hosted.kv.get({ key: "a" })).value).toHaveLength(1);
    });

    test("that is another's keeps it from starting, each time", async () => {
      const checksum = createHash("sha512")
        .update(await readFile(await buildKv()))
        .digest();
      checksum[63] = (checksum[63] ?? 0) ^ 1;
      await using bench = await kind.open();
      const stderr = new Collector();
      // It would say so before anything else.
      const flags = ["-exit", "7"];
      await using hosted = await hostKv(bench, { flags, stderr, secureConfig: { checksum, hash: "sha512" } });
      for (const attempt of [1, 2]) {
        const failure = await failureOf(hosted.client.start());
        expect(failure).toMatchObject({
          code: "checksum-mismatch",
          message: expect.stringContaining("checksums did not match"),
        });
        expect(await hosted.client.exitReason()).toEqual({ kind: "start-failed", error: failure });
        expect([hosted.runners.length, hosted.runner.process, hosted.client.id]).toEqual([attempt, undefined, ""]);
        expect(await failureOf(hosted.runner.wait())).toBe(failure);
      }
      expect(stderr.text()).toBe("");
    });
  });
});
