import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { FakeBox, settled, started } from "./fake-box.ts";

const LIMITS = { timeoutMs: 30_000 };

describe("the end of a supervised process", () => {
  test.each([
    [0, { code: 0, signal: null }],
    [3, { code: 3, signal: null }],
    [137, { code: null, signal: "SIGKILL" }],
  ])("with status %i is latched", async (status, exit) => {
    const { process, channel } = await started();
    channel.exit(status);
    expect([await process.exited, await process.exited]).toEqual([exit, exit]);
  });

  test("is not known when the channel ends without a status", async () => {
    const { process, channel, stdout } = await started();
    channel.stdout.write("last words");
    await settled();
    channel.exit();
    await expect(process.exited).rejects.toMatchObject({ code: "connection-lost" });
    expect(await text(stdout)).toBe("last words");
    await expect(process.stop()).rejects.toMatchObject({ code: "connection-lost" });
  });

  test("is not known when the connection is lost, which all who wait hear at once", async () => {
    const { process, channel, box, stdout, stderr } = await started();
    const reason = new PluginError("connection-lost", "The connection broke.");
    const heard: string[] = [];
    const waiting = [
      process.exited.catch((failure) => heard.push(`exited ${failure === reason}`)),
      process.stop().catch(({ code, cause }) => heard.push(`stop ${code} ${cause === reason}`)),
      text(stdout).then((said) => heard.push(`stdout ${said}`)),
      text(stderr).then((said) => heard.push(`stderr ${said}`)),
    ];
    await settled();
    expect(heard).toEqual([]);
    box.lost.abort(reason);
    await Promise.all(waiting);
    expect(heard.sort()).toEqual(["exited true", "stderr ", "stdout ", "stop connection-lost true"]);
    // The channel has not said a word, and need not.
    channel.stdout.write("too late");
    await settled();
  });

  test("is not known when the connection is lost in the middle of a start", async () => {
    const box = new FakeBox();
    const { process } = box.process();
    const starting = process.start(LIMITS);
    await settled();
    const reason = new PluginError("connection-lost", "The connection broke.");
    box.lost.abort(reason);
    await expect(starting).rejects.toBe(reason);
    await expect(process.exited).rejects.toBe(reason);
    await expect(process.stop()).rejects.toMatchObject({ code: "connection-lost", cause: reason });
  });

  test("tells how long the box may take to notice, when it cannot be seen", async () => {
    for (const [leaseMs, hint] of [
      [60_000, "within 65000 ms."],
      [0, "when it notices that the connection is gone."],
    ] as const) {
      const box = new FakeBox();
      const { process } = box.process({ leaseMs });
      const starting = process.start(LIMITS);
      await settled();
      box.channel().report();
      await starting;
      box.lost.abort(new PluginError("connection-lost", "The connection broke."));
      await expect(process.stop()).rejects.toMatchObject({ hint: expect.stringContaining(hint) });
    }
  });

  test("cuts the streams when it is asked to, whatever still comes", async () => {
    const { process, channel, stdout, stderr } = await started();
    channel.stdout.write("before");
    await settled();
    process.cutOutput();
    channel.stdout.write("after");
    expect([await text(stdout), await text(stderr)]).toEqual(["before", ""]);
    await process.passedOn();
  });

  test("errors of the channel's streams reach nobody who did not ask", async () => {
    const { process, channel } = await started();
    for (const stream of [channel.stdin, channel.stdout, channel.stderr]) stream.destroy(new RangeError("broken"));
    await settled();
    channel.exit(0);
    expect(await process.exited).toEqual({ code: 0, signal: null });
  });
});
