import { createClient, type Transport } from "@connectrpc/connect";
import { beforeAll, describe, expect, test } from "vitest";
import { GRPCStdio, type StdioData, StdioData_Channel } from "../../src/dial/gen/plugin_pb.ts";
import { Sink } from "./gen/output_pb.ts";
import { buildKv, hasGo } from "./go-plugins.ts";
import { hclog, print, servicesOf } from "./kv-services.ts";
import { startKv } from "./started-kv.ts";

describe.skipIf(!hasGo())("what kv says", { timeout: 30_000 }, () => {
  beforeAll(buildKv, 6 * 60_000);

  test("Print to stdio travels over GRPCStdio, many megabytes too", async () => {
    const { kv, transport, services } = await started();
    const data = "0123456789\n";
    const total = 4_000_003;
    const stdio = stdioOf(transport, total + 6);
    await print(services, Sink.STDIO_STDOUT, data, { total });
    await print(services, Sink.STDIO_STDERR, "wörd\n");
    const { stdout, stderr } = await stdio;
    expect(stdout === data.repeat(total / data.length + 1).slice(0, total)).toBe(true);
    expect(stderr).toBe("wörd\n");
    expect(kv.stdout.text).not.toContain("0123");
    expect(kv.stderr.text).not.toContain("wörd");
  });

  test("Print in the background does not wait for a reader", async () => {
    const { transport, services } = await started();
    await print(services, Sink.STDIO_STDOUT, "x", { total: 300_000, background: true });
    expect((await stdioOf(transport, 300_000)).stdout).toHaveLength(300_000);
  });

  test("Print to the process writes there, a line of a megabyte too", async () => {
    const { kv, services } = await started();
    await print(services, Sink.PROCESS_STDOUT, "out\n");
    await kv.stdout.until(/\nout\n$/);
    const before = kv.stderr.text.length;
    await print(services, Sink.PROCESS_STDERR, "e", { total: 1_000_000 });
    await print(services, Sink.PROCESS_STDERR, "end\n");
    await kv.stderr.until(/end\n$/);
    expect(kv.stderr.text.slice(before)).toMatch(/^e{1000000}nd\n$|^e{1000001}nd\n$/);
  });

  test("Hclog writes JSON with values as they are, or text", async () => {
    const { kv, services } = await started();
    const fields = { text: "a b", count: 12345678901234, deep: { list: [1, null, true] } };
    await hclog(services, { level: "warn", message: "first", name: "kv.part", fields, caller: true });
    const line = await kv.stderr.until(/^\{.*"first".*\}$/m);
    expect(JSON.parse(line)).toEqual({
      "@level": "warn",
      "@message": "first",
      "@module": "kv.part",
      "@timestamp": expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}/),
      "@caller": expect.stringMatching(/\.go:\d+$/),
      ...fields,
    });
    await hclog(services, { level: "error", message: "second", name: "part", fields: { n: 1, a: "x y" }, text: true });
    await kv.stderr.until(/^\S+ \[ERROR\] part: second: a="x y" n=1$/m);
  });

  test("Log writes with Go's package log", async () => {
    const { kv, services } = await started();
    await services.output.log({ lines: ["[WARN] one", "two"] });
    await kv.stderr.until(/^\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d \[WARN\] one\n\S+ \S+ two$/m);
  });

  test.each([false, true])("Panic dies with a stack, in the background: %s", async (background) => {
    const { kv, services } = await started();
    await expect(services.trouble.panic({ message: "out of luck", background })).rejects.toThrow();
    expect(await kv.exited).toEqual({ code: 2, signal: null });
    await kv.closed;
    expect(kv.stderr.text).toMatch(/^panic: out of luck\n\ngoroutine \d+ .*:\n/m);
    expect(kv.stderr.text).toMatch(background ? /^created by main\.trouble\.Panic/m : /^main\.trouble\.Panic\(/m);
  });

  test("FatalError dies with a stack", async () => {
    const { kv, services } = await started();
    await expect(services.trouble.fatalError({})).rejects.toThrow();
    expect(await kv.exited).toEqual({ code: 2, signal: null });
    await kv.closed;
    expect(kv.stderr.text).toMatch(/^fatal error: .*\n\ngoroutine \d+ .*:\n/m);
  });
});

async function started(flags: string[] = []) {
  const kv = await startKv(flags);
  const transport = await kv.dial();
  return { kv, transport, services: servicesOf(transport) };
}

/** The first `length` bytes that GRPCStdio gives, by channel. A plugin has only one such stream that can be relied on. */
async function stdioOf(transport: Transport, length: number): Promise<{ stdout: string; stderr: string }> {
  const parts: StdioData[] = [];
  let missing = length;
  for await (const part of createClient(GRPCStdio, transport).streamStdio({})) {
    parts.push(part);
    missing -= part.data.length;
    if (missing <= 0) break;
  }
  const of = (channel: StdioData_Channel) =>
    Buffer.concat(parts.filter((part) => part.channel === channel).map(({ data }) => data)).toString();
  return { stdout: of(StdioData_Channel.STDOUT), stderr: of(StdioData_Channel.STDERR) };
}
