import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { startKvOn } from "../client/started-client.ts";
import { localKind } from "../contract/runner-kinds.ts";
import { buildKv, hasGo } from "../plugins/go-plugins.ts";

/** Any group as root, otherwise our own. */
const gid = process.getuid?.() === 0 ? 54_321 : (process.getgid?.() ?? 0);

describe.skipIf(!hasGo())("a plugin of go-plugin's whose sockets are for a group", () => {
  beforeAll(buildKv, 6 * 60_000);

  test("gives its socket to that group, and is called as any other", async () => {
    await using bench = await localKind.open();
    await using hosted = await startKvOn(bench, { runner: { unixSocketGroup: String(gid) } });
    const [directory = ""] = readdirSync(bench.boxTmp);
    const names = readdirSync(join(bench.boxTmp, directory));
    const sockets = names
      .map((name) => statSync(join(bench.boxTmp, directory, name)))
      .filter((file) => file.isSocket());
    expect(sockets.map((socket) => [(socket.mode & 0o777).toString(8), socket.gid])).toEqual([["660", gid]]);
    expect((await hosted.kv.echo({ payload: Uint8Array.of(1) })).payload).toEqual(Uint8Array.of(1));
  });
});
