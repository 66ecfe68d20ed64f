import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import type { ExitStatus } from "../../src/contract/runner.ts";
import { readHandshakeLine, type StartingPlugin } from "../../src/handshake/read-handshake.ts";
import { later } from "../../src/lifetime/later.ts";

const LINE = "1|5|unix|/tmp/plugin1|grpc|";
const UNRECOGNIZED = "Unrecognized remote plugin message: ";
const FAILED_TO_READ = "\nFailed to read any lines from plugin's stdout";
const ended: ExitStatus = { code: 0, signal: null };

/** A plugin of which the test decides everything, and what is read of its handshake. */
function starting(differences: Partial<StartingPlugin> = {}) {
  const stdout = new PassThrough();
  const exit = later<ExitStatus>();
  const diagnose = vi.fn(async () => "");
  const plugin = { stdout, exited: exit.promise, timeoutMs: 60_000, diagnose, ...differences };
  const line = readHandshakeLine(plugin);
  line.catch(() => {});
  return { stdout, exit, diagnose, line };
}

/** Only deadlines are faked: streams go on by themselves. */
const fakeDeadlines = () => vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
afterEach(() => void vi.useRealTimers());

describe("a handshake line", () => {
  test.each([
    ["as plugins write it", `${LINE}\n`],
    ["from Windows", `${LINE}\r\n`],
    ["with white space around it", ` \t${LINE} \n`],
    ["before other output", `${LINE}\nmore\n`],
  ])("%s is what comes out", async (_, output) => {
    const { stdout, line, diagnose } = starting();
    stdout.write(output);
    expect(await line).toBe(LINE);
    expect(diagnose).not.toHaveBeenCalled();
  });

  test("without a line end counts when the stream ends", async () => {
    const { stdout, exit, line } = starting();
    stdout.end(LINE);
    exit.resolve(ended);
    expect(await line).toBe(LINE);
  });

  test("counts though the exit is known first", async () => {
    const { stdout, exit, line } = starting();
    exit.resolve(ended);
    await nextTurn();
    stdout.end(`${LINE}\n`);
    expect(await line).toBe(LINE);
  });

  test("is not taken for whole when the link broke in the middle of it", async () => {
    const { stdout, exit, line } = starting();
    stdout.end("1|5|unix|/tmp/plu");
    await once(stdout, "end");
    exit.reject(new PluginError("connection-lost", "The link is gone."));
    await expect(line).rejects.toMatchObject({ code: "connection-lost" });
  });

  test("without a line end is soon believed, also of a plugin that lives on without its stdout", async () => {
    fakeDeadlines();
    const { stdout, line } = starting();
    stdout.end(LINE);
    await once(stdout, "close");
    await nextTurn();
    vi.advanceTimersByTime(2_000);
    expect(await line).toBe(LINE);
  });

  test("leaves no timer behind", async () => {
    fakeDeadlines();
    const { stdout, line } = starting();
    stdout.write(`${LINE}\n`);
    await line;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("no handshake line, because", () => {
  const failing = async (line: Promise<string>) => {
    const error = await line.then(
      () => undefined,
      (failure) => failure,
    );
    expect(error).toBeInstanceOf(PluginError);
    return error as PluginError;
  };
  const textOf = ({ message, hint }: PluginError) => message.slice(0, message.length - hint.length - 1);

  test("the plugin printed something else: told with the diagnosis", async () => {
    const { stdout, line } = starting({ diagnose: async () => "It is a shell." });
    stdout.write("Welcome!\nmore");
    expect(textOf(await failing(line))).toBe(`[handshake-failed] ${UNRECOGNIZED}Welcome!\nIt is a shell.`);
  });

  test("the plugin printed an empty line", async () => {
    const { stdout, line } = starting();
    stdout.write(`\n${LINE}\n`);
    expect(textOf(await failing(line))).toBe(`[handshake-failed] ${UNRECOGNIZED}`);
  });

  test.each([
    ["nothing", "", ""],
    ["part of a line", "panic: \u001b[31mno", "panic: \\x1b[31mno"],
  ])("the plugin ended after %s", async (_, output, shown) => {
    const { stdout, exit, line } = starting({ diagnose: async () => "exit 2" });
    stdout.end(output);
    exit.resolve(ended);
    expect(textOf(await failing(line))).toBe(`[handshake-failed] ${UNRECOGNIZED}${shown}${FAILED_TO_READ}\nexit 2`);
  });

  test.each([
    [60_000, 16_000],
    [12_000, 7_000],
    [3_000, 2_000],
  ])("the plugin closed its stdout and lives: told before the %d ms of its start are over", async (timeoutMs, ms) => {
    fakeDeadlines();
    const { stdout, line } = starting({ timeoutMs });
    stdout.end("panic");
    await once(stdout, "close");
    await nextTurn();
    vi.advanceTimersByTime(ms);
    expect(textOf(await failing(line))).toContain(`${UNRECOGNIZED}panic`);
  });

  test("the line is too long: its beginning is told", async () => {
    const { stdout, line } = starting();
    stdout.write("|x".repeat(40_000));
    const shown = `${"|x".repeat(512)}…`;
    expect(textOf(await failing(line))).toBe(`[handshake-failed] ${UNRECOGNIZED}${shown}${FAILED_TO_READ}`);
  });

  test("the stream failed: the failure is the cause", async () => {
    const { stdout, exit, line } = starting();
    const failure = new Error("broken");
    exit.resolve(ended);
    stdout.destroy(failure);
    expect(await failing(line)).toMatchObject({ code: "handshake-failed", cause: failure });
  });

  test("the plugin closed its stdout but lives: told after a while", async () => {
    fakeDeadlines();
    const { stdout, line } = starting();
    stdout.end();
    await once(stdout, "end");
    await nextTurn();
    await vi.advanceTimersByTimeAsync(20_000);
    expect(textOf(await failing(line))).toBe(`[handshake-failed] ${UNRECOGNIZED}${FAILED_TO_READ}`);
    expect(vi.getTimerCount()).toBe(0);
  });

  test("the plugin exited while a descendant holds its stdout: told after a while", async () => {
    fakeDeadlines();
    const { stdout, exit, line } = starting({ timeoutMs: 1_000 });
    stdout.write("partly");
    exit.resolve(ended);
    await nextTurn();
    await vi.advanceTimersByTimeAsync(5_000);
    expect(textOf(await failing(line))).toBe(`[handshake-failed] ${UNRECOGNIZED}partly${FAILED_TO_READ}`);
    stdout.end(Buffer.alloc(1024 * 1024));
    await once(stdout, "end");
  });

  test.each(["connection-lost", "plugin-not-started"] as const)("of %s: that error wins at once", async (code) => {
    const { stdout, exit, line, diagnose } = starting();
    stdout.write("noise");
    exit.reject(new PluginError(code, "Told by the runner."));
    expect(await failing(line)).toMatchObject({ code });
    expect(diagnose).not.toHaveBeenCalled();
  });

  test("of an error that comes after the end of stdout: that error wins as well", async () => {
    const { stdout, exit, line } = starting();
    stdout.end("sh: not found");
    await once(stdout, "end");
    await nextTurn();
    exit.reject(new PluginError("plugin-not-started", "No such file."));
    expect(await failing(line)).toMatchObject({ code: "plugin-not-started" });
  });

  test("of an error that a runner tells after a long look at the box: that error wins", async () => {
    fakeDeadlines();
    const { stdout, exit, line } = starting();
    stdout.end("sh: not found");
    await once(stdout, "end");
    await nextTurn();
    await vi.advanceTimersByTimeAsync(15_000);
    exit.reject(new PluginError("plugin-not-started", "It was built for another machine."));
    expect(await failing(line)).toMatchObject({ code: "plugin-not-started" });
  });

  test("the deadline passed: go-plugin's text", async () => {
    fakeDeadlines();
    const { line, stdout, diagnose } = starting({ timeoutMs: 60_000 });
    stdout.write("slow…");
    await vi.advanceTimersByTimeAsync(59_999);
    expect(vi.getTimerCount()).toBe(1);
    await vi.advanceTimersByTimeAsync(1);
    const error = await failing(line);
    expect(textOf(error)).toBe("[timeout] timeout while waiting for plugin to start");
    expect(error.hint).toContain("60000 ms");
    expect(diagnose).not.toHaveBeenCalled();
  });

  test("the caller gave up, before or during the wait", async () => {
    expect(await failing(starting({ signal: AbortSignal.abort() }).line)).toMatchObject({ code: "aborted" });
    const giveUp = new AbortController();
    const { line } = starting({ signal: giveUp.signal });
    await nextTurn();
    giveUp.abort();
    expect(await failing(line)).toMatchObject({ code: "aborted" });
  });

  test("the caller gave up while the rest of the output was awaited", async () => {
    const giveUp = new AbortController();
    const { exit, line } = starting({ signal: giveUp.signal });
    exit.resolve(ended);
    await nextTurn();
    giveUp.abort();
    expect(await failing(line)).toMatchObject({ code: "aborted" });
  });
});

describe("a diagnosis", () => {
  const noisy = (diagnose: StartingPlugin["diagnose"], signal?: AbortSignal) => {
    const { stdout, line } = starting({ diagnose, signal });
    stdout.write("noise\n");
    return line;
  };

  test.each<[string, StartingPlugin["diagnose"]]>([
    ["that rejects", async () => Promise.reject(new PluginError("connection-lost", "Gone."))],
    [
      "that throws",
      () => {
        throw new PluginError("closed", "Gone.");
      },
    ],
    ["that is empty", async () => ""],
  ])("%s does not hide the error", async (_, diagnose) => {
    await expect(noisy(diagnose)).rejects.toMatchObject({ message: expect.stringContaining(`${UNRECOGNIZED}noise\n`) });
  });

  test("that never comes is waited for 5 s, and told that it was given up", async () => {
    fakeDeadlines();
    const asked = later<AbortSignal | undefined>();
    const line = noisy((signal) => {
      asked.resolve(signal);
      return new Promise(() => {});
    });
    line.catch(() => {});
    const signal = await asked.promise;
    await vi.advanceTimersByTimeAsync(4_999);
    expect(signal?.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await expect(line).rejects.toMatchObject({ code: "handshake-failed" });
    expect(signal?.aborted).toBe(true);
  });

  test("is not waited for when the caller gives up; the error is told all the same", async () => {
    const giveUp = new AbortController();
    const line = noisy(() => {
      giveUp.abort();
      return new Promise(() => {});
    }, giveUp.signal);
    await expect(line).rejects.toMatchObject({ code: "handshake-failed" });
  });
});

describe("whatever the outcome", () => {
  test.each<[string, (made: ReturnType<typeof starting>) => void, Partial<StartingPlugin>?]>([
    ["a line", ({ stdout }) => void stdout.write(`${LINE}\n`)],
    ["noise", ({ stdout }) => void stdout.write("noise\n")],
    ["an error of the runner", ({ exit }) => exit.reject(new PluginError("connection-lost", "Gone."))],
    ["a signal", () => {}, { signal: AbortSignal.abort() }],
    ["a deadline", () => {}, { timeoutMs: 1 }],
  ])("after %s stdout is drained, and its errors are heard", async (_, happen, differences) => {
    const made = starting(differences);
    happen(made);
    await made.line.catch(() => {});
    expect(made.stdout.listenerCount("data")).toBe(0);
    for (let round = 0; round < 3; round += 1) {
      if (!made.stdout.write(Buffer.alloc(1024 * 1024))) await once(made.stdout, "drain");
    }
    const closed = new Promise((resolve) => made.stdout.once("close", resolve));
    made.stdout.destroy(new Error("late"));
    await closed;
  });

  test("a runner that has failed is not an unhandled rejection, though the caller had given up", async () => {
    const exited = Promise.reject(new PluginError("connection-lost", "Gone."));
    const { line } = starting({ exited, signal: AbortSignal.abort() });
    await expect(line).rejects.toMatchObject({ code: "aborted" });
    await nextTurn();
  });

  test("a runner that fails later is not an unhandled rejection", async () => {
    const { stdout, exit, line } = starting();
    stdout.write(`${LINE}\n`);
    await line;
    exit.reject(new PluginError("connection-lost", "Gone."));
    await nextTurn();
  });
});

describe("a real process", () => {
  /** Runs `script` in Node, and reads its handshake. `exited` follows the exit event, which may precede the output. */
  function run(script: string): { line: Promise<string>; exited: Promise<ExitStatus>; child: ChildProcess } {
    const child = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"] });
    const exited = new Promise<ExitStatus>((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code, signal) =>
        resolve(signal ? { code: null, signal } : { code: code ?? 0, signal: null }),
      );
    });
    const line = readHandshakeLine({ stdout: child.stdout, exited, timeoutMs: 60_000, diagnose: async () => "" });
    return { line, exited, child };
  }

  test("that prints its line and exits at once is heard", async () => {
    const { line } = run(`process.stdout.write("${LINE}\\n"); process.exitCode = 3;`);
    expect(await line).toBe(LINE);
  });

  test("that exits without a word is reported, long before the deadline", async () => {
    await expect(run("process.exit(2)").line).rejects.toMatchObject({
      message: expect.stringContaining(`${UNRECOGNIZED}${FAILED_TO_READ}`),
    });
  });

  test("that prints megabytes after its line is never blocked", async () => {
    const { line, exited } = run(`process.stdout.write("${LINE}\\n" + "x".repeat(4 << 20), () => process.exit(7));`);
    expect(await line).toBe(LINE);
    expect(await exited).toEqual({ code: 7, signal: null });
  });
});
