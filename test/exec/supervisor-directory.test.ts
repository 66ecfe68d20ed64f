import { mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, test, vi } from "vitest";
import { eventually } from "../tools/eventually.ts";
import { expectNothing, program, rawChannel } from "./raw-launch.ts";
import { shells, type TestShell, where } from "./shells.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { GIVE_UP_MS, openFiles, processesWith, sh, Trial } from "./trial.ts";

// These tests mostly wait: for a grace, for a lease, for an end.
vi.setConfig({ maxConcurrency: 20 });

/** A plugin that has put things into its directory, some of them hard to remove. */
const BUSY = `
  mkdir -p "$TMPDIR/a/-rf/ /b"
  echo x >"$TMPDIR/a/-rf/ /b/.hidden"
  ln -s / "$TMPDIR/root"
  echo ready
`;

const scratch = temporaryDirectory();

describe.concurrent.each(shells())("the private directory under $name", (shell) => {
  test("is 0700, ours, and what the plugin finds in its two variables", async () => {
    const script = 'echo "<$PLUGIN_UNIX_SOCKET_DIR> <$TMPDIR>"; exec sleep 5000';
    await using trial = await Trial.start(shell, { command: sh(script) });
    const { directory } = trial.report;
    expect(directory).toMatch(new RegExp(`^${trial.base}/gp-[0-9a-f]{10}$`));
    await trial.says(new RegExp(`^<${directory}> <${directory}>\n`));
    const { mode, uid } = statSync(directory);
    expect([(mode & 0o7777).toString(8), uid]).toEqual(["700", process.getuid?.()]);
  });

  test("is removed with all that is in it when the plugin ends by itself", async () => {
    await using trial = await Trial.start(shell, { command: sh(BUSY) });
    expect(await trial.process.exited).toEqual({ code: 0, signal: null });
    expect(trial.directories()).toEqual([]);
    expect(readdirSync("/").length).toBeGreaterThan(0);
  });

  test.each<[string, (trial: Trial) => unknown]>([
    ["the plugin crashes", ({ report }) => process.kill(report.pid, "SIGSEGV")],
    ["the plugin is killed", ({ report }) => process.kill(report.pid, "SIGKILL")],
    ["the supervisor gets TERM", ({ report }) => process.kill(report.supervisorPid, "SIGTERM")],
    ["the supervisor gets HUP", ({ report }) => process.kill(report.supervisorPid, "SIGHUP")],
    ["the supervisor gets INT", ({ report }) => process.kill(report.supervisorPid, "SIGINT")],
    ["its input ends", ({ channel }) => channel?.stdin.end()],
    ["the channel is closed", ({ channel }) => channel?.close()],
  ])("is removed when %s", async (_, end) => {
    await using trial = await Trial.start(shell, { command: sh(`${BUSY} exec sleep 5000`) });
    await trial.says(/ready/);
    end(trial);
    await trial.process.exited;
    expect(trial.directories()).toEqual([]);
  });

  test("is removed even when the supervisor is killed, once the host lets go", async () => {
    const { channel, marker, base } = await rawChannel(shell, scratch);
    channel.stdin.write(program(shell, base));
    await eventually(() => readdirSync(base).length > 0, { what: "the private directory", timeoutMs: GIVE_UP_MS });
    await eventually(() => processesWith(marker).some(({ command }) => command === "sleep 5000 "), {
      what: "the plugin",
      timeoutMs: GIVE_UP_MS,
    });
    // The plugin may be faster than those who look after it: the last of them gets the host's line, which is 3.
    await eventually(() => !("3" in openFiles(channel.pid)), { what: "the listener", timeoutMs: GIVE_UP_MS });
    process.kill(channel.pid, "SIGKILL");
    expect(await channel.exited).toEqual({ code: null, signal: "SIGKILL" });
    channel.stdin.destroy();
    await expectNothing(marker, base);
  });

  test("is removed when a signal comes while it is being made", async () => {
    const tools = join(scratch, shell.name.replaceAll(/\W/g, ""));
    mkdirSync(tools);
    const tell = `read -r stat </proc/self/stat; set -- $stat; kill -TERM "$6"`;
    const script = `#!/bin/sh\n${where("mkdir")} "$@" || exit\n${tell}\n`;
    writeFileSync(join(tools, "mkdir"), script, { mode: 0o755 });
    const session = { PATH: `${tools}:${shell.searchPath}` };
    await using trial = new Trial(shell, { command: sh("exec sleep 5000"), session });
    // Whether it can still report depends on who is faster. TERM may find a copy of the supervisor that loses it.
    await trial.start().catch(() => {});
    expect([143, 137]).toContain((await trial.channel?.exited)?.code);
    expect(trial.directories()).toEqual([]);
  });

  test("is made in the first place that will do", async () => {
    await using trial = new Trial(shell, {
      command: sh("exec sleep 5000"),
      spec: { directoryBase: undefined },
      session: { TMPDIR: "relative" },
    });
    mkdirSync(join(trial.base, "relative"));
    const { directory } = await trial.start();
    expect(directory).toMatch(/^\/tmp\/gp-[0-9a-f]{10}$/);
    await trial.process.stop();
    expect(() => statSync(directory)).toThrow("ENOENT");

    const deep = join(trial.base, "x".repeat(61 - trial.base.length));
    mkdirSync(deep);
    await using other = new Trial(shell, {
      command: sh("exec sleep 5000"),
      spec: { directoryBase: deep },
      session: { TMPDIR: trial.base },
    });
    expect((await other.start()).directory).toMatch(new RegExp(`^${trial.base}/gp-`));
  });

  test("is not made when the input ends before the program is complete, and is removed when it ends then", async () => {
    const cuts = [0, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999, 1];
    const ends = await Promise.all(cuts.map((part) => cutShort(shell, part)));
    expect(ends.slice(0, -1)).toEqual(cuts.slice(0, -1).map(() => ({ code: 99, stdout: "", stderr: "" })));
    // The whole program, and the end of its input on the next byte: it may have been ended before it could report.
    expect([143, 137]).toContain(ends.at(-1)?.code);
  });
});

/** Sends the first part of a whole program and ends the input; gives what came of it. */
async function cutShort(shell: TestShell, part: number) {
  const { channel, marker, base } = await rawChannel(shell, scratch);
  const whole = program(shell, base);
  channel.stdin.end(whole.slice(0, part === 1 ? whole.length : Math.min(whole.length - 1, whole.length * part)));
  const [stdout, stderr, exit] = await Promise.all([text(channel.stdout), text(channel.stderr), channel.exited]);
  await expectNothing(marker, base);
  return { code: exit?.code, stdout, stderr };
}
