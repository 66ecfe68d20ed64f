import { beforeAll, describe, expect, test } from "vitest";
import { type Bench, localKind, opensshKind } from "../contract/runner-kinds.ts";
import { Sink } from "../plugins/gen/output_pb.ts";
import { buildKv } from "../plugins/go-plugins.ts";
import { hclog, print, servicesOf } from "../plugins/kv-services.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { Collector } from "./collector.ts";
import { causeOf } from "./failing-calls.ts";
import { Recorder } from "./log/recorder.ts";
import { type Difference, startKvOn } from "./started-client.ts";

const TEN_MEGABYTES = 10_000_000;
const PATIENCE = { timeoutMs: 40_000 };
const LEVELS = ["trace", "debug", "info", "warn", "error"] as const;

describe.skipIf(!hasTier("go"))("the plugin's log", () => {
  beforeAll(buildKv, 6 * 60_000);

  test("comes to the logger with levels, names, and key/value pairs as they were", async () => {
    await using bench = await localKind.open();
    await using hosted = await startOn(bench);
    const { services, logger } = hosted;
    const fields = { text: "a b", count: 12_345, deep: { list: [1, null, true] } };
    for (const level of LEVELS) await hclog(services, { level, message: `as ${level}`, name: "kv.part", fields });
    await hclog(services, { level: "error", message: "as text", fields: { n: 1 }, text: true });
    await services.output.log({ lines: ["[WARN] by package log"] });
    await hosted.kv.log({ lines: ["[WARN] a level in front", "none"] });
    await hosted.client.kill();

    const plugin = logger.calls.filter(({ name }) => name === "host.kv");
    for (const level of LEVELS) {
      expect(plugin.find(({ message }) => message === `as ${level}`)).toEqual({
        name: "host.kv",
        level,
        message: `as ${level}`,
        fields: { "@module": "kv.part", timestamp: expect.anything(), ...fields },
      });
    }
    const said = (part: string) => plugin.find(({ message }) => message.includes(part));
    // Only JSON and a level at the very beginning are understood, as by go-plugin's host.
    expect(said("as text: n=1")).toMatchObject({ level: "debug" });
    expect(said("by package log")).toMatchObject({ level: "debug" });
    expect(said("a level in front")).toMatchObject({ level: "warn", message: "[WARN] a level in front" });
    expect(said("none")).toMatchObject({ level: "debug", message: "none" });
  });

  test.each([
    ["a panic", { background: true }, /^panic: out of luck$/],
    ["a fatal error", undefined, /^fatal error: /],
  ])("is an error from %s on, to the last line of its stack", async (_what, panic, first) => {
    await using bench = await localKind.open();
    await using hosted = await startOn(bench);
    const { services, logger, client } = hosted;
    await hosted.kv.log({ lines: ["before"] });
    const died = panic ? services.trouble.panic({ message: "out of luck", ...panic }) : services.trouble.fatalError({});
    expect(await causeOf(died)).toMatchObject({ code: "plugin-exited", message: expect.stringContaining("code 2") });
    expect(await client.exitReason()).toEqual({ kind: "exited", exit: { code: 2, signal: null } });
    await client.kill();
    const plugin = logger.calls.filter(({ name }) => name === "host.kv");
    const begin = plugin.findIndex(({ message }) => first.test(message));
    const stack = plugin.slice(begin);
    expect(plugin.find(({ message }) => message === "before")).toMatchObject({ level: "debug" });
    expect(stack.filter(({ level }) => level !== "error")).toEqual([]);
    const text = stack.map(({ message }) => message).join("\n");
    expect(text).toMatch(/^goroutine \d+ .*:$/m);
    expect(text).toContain("main.trouble.");
    expect(await client.exitReason()).toMatchObject({ kind: "exited" });
  });
});

describe.each([
  ["LocalRunner", localKind, true],
  ["SshRunner, sshd", opensshKind(), hasTier("openssh")],
] as const)("a line of 10 MB, by %s,", (_name, kind, available) => {
  describe.skipIf(!available || !hasTier("go"))("", () => {
    beforeAll(buildKv, 6 * 60_000);

    test("comes whole to the tap and in pieces to the logger, and so does what follows", async () => {
      await using bench = await kind.open();
      const tap = new Collector();
      await using hosted = await startOn(bench, { stderr: tap });
      const { services, logger } = hosted;
      await print(services, Sink.PROCESS_STDERR, "begin\n");
      await eventually(() => tap.text().endsWith("begin\n"), { ...PATIENCE, what: "the beginning" });
      const before = tap.length;
      const line = Buffer.alloc(TEN_MEGABYTES, "0123456789 naïve \r\t\x1b ");
      await print(services, Sink.PROCESS_STDERR, "0123456789 naïve \r\t\x1b ", { total: TEN_MEGABYTES });
      await print(services, Sink.PROCESS_STDERR, "\n[INFO] end\r\n");
      await hosted.client.kill();

      expect(
        tap
          .bytes()
          .subarray(before)
          .equals(Buffer.concat([line, Buffer.from("\n[INFO] end\r\n")])),
      ).toBe(true);
      const logged = logger.calls.filter(({ name }) => name === "host.kv").map(({ message }) => message);
      const begin = logged.indexOf("begin");
      const end = logged.indexOf("[INFO] end");
      const pieces = logged.slice(begin + 1, end);
      expect(pieces.length).toBe(Math.ceil(TEN_MEGABYTES / 65_536));
      expect(Buffer.from(pieces.join("")).equals(line)).toBe(true);
      expect(tap.writableEnded).toBe(false);
    });
  });
});

async function startOn(bench: Bench, difference: Difference = {}) {
  const logger = new Recorder();
  const hosted = await startKvOn(bench, { logger, ...difference });
  return Object.defineProperties(hosted, {
    services: { value: servicesOf(hosted.client.transport) },
    logger: { value: logger },
  }) as typeof hosted & { services: ReturnType<typeof servicesOf>; logger: Recorder };
}
