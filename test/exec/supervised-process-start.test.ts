import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { EXEC_REQUEST } from "../../src/exec/loader.ts";
import { later } from "../../src/lifetime/later.ts";
import { withFakeTimeouts } from "../connect/fake-timeouts.ts";
import { FakeBox, settled } from "./fake-box.ts";

const LIMITS = { timeoutMs: 30_000 };

describe("the start of a supervised process", () => {
  test("sends the constant request, then the program over stdin, and gives the report", async () => {
    const box = new FakeBox();
    const { process } = box.process({ environment: { TOKEN: "hunter2" } });
    const starting = process.start(LIMITS);
    await settled();
    expect(box.requests.map(({ command }) => command)).toEqual([EXEC_REQUEST]);
    const channel = box.channel();
    expect(channel.written).toContain("export TOKEN=hunter2\n");
    expect(process.report).toBeUndefined();
    channel.report();
    const report = { pid: 123, startTime: "456", supervisorPid: 122, platform: "Linux/x86_64" };
    expect(await starting).toEqual({ ...report, directory: "/tmp/gp-0123456789" });
    expect(process.report).toBe(await starting);
    expect(channel.acts).toEqual([]);
  });

  test("keeps what comes before the report from the plugin's streams, and what comes after for them", async () => {
    const box = new FakeBox();
    const { process, stdout, stderr } = box.process();
    const starting = process.start(LIMITS);
    await settled();
    const channel = box.channel();
    channel.stdout.write("Welcome!\n");
    channel.stderr.write("warning: no locale\n");
    channel.report();
    channel.stdout.write("1|2|unix|/s|grpc\n");
    channel.stderr.write("log\n");
    await starting;
    channel.exit(0);
    expect([await text(stdout), await text(stderr)]).toEqual(["1|2|unix|/s|grpc\n", "log\n"]);
    expect([process.said("stdout"), process.said("stderr")]).toEqual(["1|2|unix|/s|grpc\n", "log\n"]);
    await process.passedOn();
  });

  test("fails with what the connection says, and ends both streams", async () => {
    const box = new FakeBox();
    const refused = new PluginError("connection-lost", "gone");
    box.opening = Promise.reject(refused);
    const { process, stdout, stderr } = box.process();
    await expect(process.start(LIMITS)).rejects.toBe(refused);
    await expect(process.exited).rejects.toBe(refused);
    expect([await text(stdout), await text(stderr)]).toEqual(["", ""]);
    await process.stop();
  });

  test("fails with what the supervisor reports", async () => {
    const box = new FakeBox();
    const { process, stdout } = box.process();
    const starting = process.start(LIMITS);
    await settled();
    box.channel().report("failed reason=no-such-command");
    await expect(starting).rejects.toMatchObject({ code: "plugin-not-started" });
    await expect(process.exited).rejects.toMatchObject({ code: "plugin-not-started" });
    expect(await text(stdout)).toBe("");
    await settled();
    expect(box.channel().acts).toEqual(["end"]);
  });

  test("quotes what a login shell said that ended instead", async () => {
    const box = new FakeBox();
    const starting = box.process().process.start(LIMITS);
    await settled();
    box.channel().stdout.write("This account is currently not available.\n");
    box.channel().exit(1);
    await expect(starting).rejects.toMatchObject({
      code: "plugin-not-started",
      message: expect.stringMatching(/ended with exit code 1 .*\nIt said:\n {2}This account is currently not/s),
    });
  });

  test("has a deadline, and quotes what was said until then", async () => {
    const box = new FakeBox();
    const { process, stdout } = box.process();
    await withFakeTimeouts(async (pass) => {
      const starting = process.start({ timeoutMs: 40 });
      await settled();
      box.channel().stdout.write("Press any key\x07 to continue\n");
      box.channel().stderr.write("[sudo] password:");
      await settled();
      pass(40);
      await expect(starting).rejects.toMatchObject({
        code: "timeout",
        message: expect.stringContaining(
          "within 40 ms.\nIt said:\n  Press any key\\x07 to continue\n  [sudo] password:\n",
        ),
        hint: expect.stringContaining("rc file"),
      });
    });
    expect(await text(stdout)).toBe("");
    expect(box.channel().acts).toEqual(["end"]);
  });
});

describe("a start that is given up", () => {
  test("before it began: nothing is opened", async () => {
    const box = new FakeBox();
    const { process } = box.process();
    await expect(process.start({ ...LIMITS, signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "aborted" });
    expect(box.requests).toEqual([]);
    await process.stop();
  });

  test("while the channel is opened: a channel that comes late gets nothing, and its input ends", async () => {
    const box = new FakeBox();
    const opened = later<void>();
    box.opening = opened.promise;
    const { process, stdout } = box.process();
    const giveUp = new AbortController();
    const starting = process.start({ ...LIMITS, signal: giveUp.signal });
    await settled();
    giveUp.abort();
    await expect(starting).rejects.toMatchObject({ code: "aborted" });
    expect(box.requests[0]?.signal?.aborted).toBe(true);
    expect(await text(stdout)).toBe("");
    await process.stop();
    opened.resolve();
    await settled();
    expect([box.channel().written, box.channel().acts]).toEqual(["", ["end"]]);
    for (const stream of [box.channel().stdin, box.channel().stdout, box.channel().stderr]) {
      stream.emit("error", new RangeError("must have a handler"));
    }
  });

  test("before the report: the input ends, and what comes late disturbs nobody", async () => {
    const box = new FakeBox();
    const { process, stdout, stderr } = box.process();
    const giveUp = new AbortController();
    const starting = process.start({ ...LIMITS, signal: giveUp.signal });
    await settled();
    giveUp.abort();
    await expect(starting).rejects.toMatchObject({ code: "aborted" });
    box.channel().report();
    box.channel().stdout.write("hello\n");
    await settled();
    expect(box.channel().acts).toEqual(["end"]);
    box.channel().exit(143);
    expect([await text(stdout), await text(stderr)]).toEqual(["", ""]);
    await process.stop();
    await expect(process.exited).rejects.toMatchObject({ code: "aborted" });
  });

  test("after the report: the plugin goes on", async () => {
    const box = new FakeBox();
    const { process } = box.process();
    const giveUp = new AbortController();
    const starting = process.start({ ...LIMITS, signal: giveUp.signal });
    await settled();
    box.channel().report();
    await starting;
    giveUp.abort();
    await settled();
    expect(box.channel().acts).toEqual([]);
    box.channel().exit(0);
    expect(await process.exited).toEqual({ code: 0, signal: null });
  });
});
