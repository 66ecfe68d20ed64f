import { expect, test } from "vitest";
import { opensshKind } from "../contract/runner-kinds.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { startHost } from "./host.ts";
import { download, upload } from "./moving.ts";

const BULK = 24 * 1024 * 1024;

const TITLE = "new keys again and again, while streams run both ways: nothing is lost";

test.skipIf(!hasTier("openssh"))(TITLE, { timeout: 240_000 }, async () => {
  await using bench = await opensshKind(undefined, ["RekeyLimit 1M", "LogLevel DEBUG1"]).open();
  await using host = await startHost(bench, built());
  // Each of them compares digests.
  await Promise.all([upload(host.host, BULK), upload(host.host, BULK), download(host.host, BULK)]);
  const log = (await bench.server?.log()) ?? "";
  expect(log.match(/SSH2_MSG_NEWKEYS received/g)?.length).toBeGreaterThan(10);
});
