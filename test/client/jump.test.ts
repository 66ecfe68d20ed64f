import { beforeAll, describe, expect, test } from "vitest";
import type { ConnectOptions } from "../../src/connect/connect-options.ts";
import { Scratch } from "../connect/scratch.ts";
import { entry } from "../connect/way/hops.ts";
import { type Bench, openChainBench } from "../contract/runner-kinds.ts";
import { buildProgram } from "../plugins/go-plugins.ts";
import { startOpenSsh } from "../servers/openssh.ts";
import type { TestServer } from "../servers/server.ts";
import { has, hasTier, TEST_LOGIN } from "../tiers/tiers.ts";
import { startNetBehind } from "../tools/net-behind.ts";
import { startWan } from "../tools/wan.ts";
import { startCounterOn } from "./started-counter.ts";

/** The first build downloads Go modules. */
const BUILD_MS = 6 * 60_000;

/** The way to the first network. */
const LINK = { delayMs: 10, lossPercent: 0, rateMbit: 1000 };

/** Three real servers and the configuration of somebody who knows them; neighbours have different users. */
async function startChain() {
  const first = await startOpenSsh({ user: TEST_LOGIN });
  const second = await startOpenSsh({ account: { home: "/" } });
  const box = await startOpenSsh({ user: TEST_LOGIN });
  const scratch = await Scratch.make();
  const configFile = await scratch.put(
    "ssh_config",
    [
      entry("first", first),
      entry("second", second),
      entry("box", box),
      entry("box-by-chain", box, "ProxyJump second"),
      entry("box-by-list", box, "ProxyJump first,second"),
      entry("box-by-ssh", box, `ProxyCommand ssh -F ${scratch.path("ssh_config")} -W [%h]:%p second`),
      entry("box-by-socat", box, "ProxyCommand socat - TCP:%h:%p"),
      "Match originalhost second",
      "  ProxyJump first",
    ].join("\n"),
  );
  return { servers: [first, second, box], configFile, scratch };
}

/** Runs a plugin that does its sums by calling back, and tells which servers were connected to meanwhile. */
async function callBack(bench: Bench, servers: readonly TestServer[]): Promise<boolean[]> {
  await using hosted = await startCounterOn(bench);
  await hosted.typed.put("sum", 2);
  await hosted.typed.put("sum", 40);
  expect(await hosted.typed.get("sum")).toBe(42);
  return servers.map((server) => server.sessionPids().length > 0);
}

describe.skipIf(!hasTier("go") || !hasTier("login") || !hasTier("accounts"))(
  "a plugin in Go, behind two jump hosts with users, keys, ports and host keys of their own, calls back",
  () => {
    beforeAll(() => buildProgram("counter"), BUILD_MS);

    const ways: [how: string, destination: string, options: ConnectOptions, through: boolean[]][] = [
      ["each hop named by the configuration of the next", "box-by-chain", {}, [true, true, true]],
      ["both named by the box's configuration", "box-by-list", {}, [true, true, true]],
      ["both named by the caller", "box", { proxyJump: "first,second" }, [true, true, true]],
      ["the caller's word before the configuration's", "box-by-socat", { proxyJump: "second" }, [true, true, true]],
      ["no hop: the caller's word again", "box-by-chain", { proxyJump: "none" }, [false, false, true]],
      ["by `ssh -W`", "box-by-ssh", {}, [true, true, true]],
      ["by a command of the caller's", "box-by-chain", { proxyCommand: "socat - TCP:%h:%p" }, [false, false, true]],
      ["by socat", "box-by-socat", {}, [false, false, true]],
    ];
    const there = ways.filter((way) => has("socat") || !JSON.stringify(way).includes("socat"));
    test.each(there)("%s", async (_how, destination, options, through) => {
      const { servers, configFile, scratch } = await startChain();
      await using _ = scratch;
      await using bench = openChainBench(servers, { destination, configFile, ...options });
      expect(await callBack(bench, servers)).toEqual(through);
    });
  },
);

describe.skipIf(!hasTier("go") || !hasTier("login") || !hasTier("accounts") || !hasTier("netns"))(
  "a plugin in Go, in a network that only the second of two jump hosts reaches, calls back",
  () => {
    beforeAll(() => buildProgram("counter"), BUILD_MS);

    test.each([
      ["by jump hosts", "ProxyJump first,second"],
      ["by `ssh -W`", "ProxyCommand ssh -F CONFIG -J first -W [%h]:%p second"],
    ])("%s", async (_how, way) => {
      await using link = await startWan(LINK);
      await using inner = await startNetBehind(link.inside.at(-1) as string, 0);
      await using innermost = await startNetBehind(inner.name, 1);
      const first = await startOpenSsh({ user: TEST_LOGIN, network: link });
      const second = await startOpenSsh({ account: { home: "/" }, network: inner });
      const box = await startOpenSsh({ user: TEST_LOGIN, network: innermost });
      await using scratch = await Scratch.make();
      const configFile = scratch.path("ssh_config");
      const last = entry("box", box, way.replace("CONFIG", configFile));
      await scratch.put("ssh_config", [entry("first", first), entry("second", second), last].join("\n"));
      await using bench = openChainBench([first, second, box], { destination: "box", configFile });
      expect(await callBack(bench, [first, second, box])).toEqual([true, true, true]);
    });
  },
);
