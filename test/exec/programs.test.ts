import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runProgram } from "../../src/exec/run-program.ts";
import { localExec, shells, startChild, type TestShell } from "./shells.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { isAlive, processesWith, procFile } from "./trial.ts";

const home = temporaryDirectory();

/** Runs one of the programs on this machine. */
function run(shell: TestShell, name: string | string[], variables: Record<string, string>) {
  const exec = localExec(shell, { env: { PATH: shell.searchPath, HOME: home }, cwd: home });
  return runProgram(exec, name, variables, { timeoutMs: 30_000 });
}

describe.concurrent.each(shells())("end-recorded.sh under $name", (shell) => {
  const END = ["family.sh", "end-recorded.sh"];

  test("ends the process that was recorded, its group, and whoever has its directory; then removes that", async () => {
    const directory = join(home, `gp-${String(process.hrtime.bigint()).slice(-10)}`);
    mkdirSync(directory);
    const env = { PATH: process.env.PATH ?? "", PLUGIN_UNIX_SOCKET_DIR: directory };
    const script = "trap '' TERM; sleep 5000 & setsid sleep 5001 & echo $$; wait; sleep 5002";
    const plugin = await startChild("/bin/sh", ["-c", script], { env });
    await once(plugin.stdout, "data");
    const gps_start = startTime(plugin.pid);
    const facts = await run(shell, END, {
      gps_pid: String(plugin.pid),
      gps_start,
      gps_supervisor: String(2 ** 22 + 1),
      gps_dir: directory,
    });
    expect(facts).toEqual({ state: "gone" });
    expect(isAlive(plugin.pid)).toBe(false);
    expect(existsSync(directory)).toBe(false);
    expect(processesWith(directory)).toEqual([]);
  });

  test("leaves a stranger alone who got the pid, and a directory that is not one of ours", async () => {
    const kept = join(home, `gp-of-somebody-${shell.name.replaceAll(/\W/g, "")}`);
    mkdirSync(kept);
    const stranger = await startChild("/bin/sleep", ["5000"], { env: {} });
    try {
      const facts = await run(shell, END, {
        gps_pid: String(stranger.pid),
        gps_start: String(Number(startTime(stranger.pid)) - 1),
        gps_supervisor: String(2 ** 22 + 1),
        gps_dir: kept,
      });
      expect(facts).toEqual({ state: "gone" });
      expect(isAlive(stranger.pid)).toBe(true);
      expect(existsSync(kept)).toBe(true);
    } finally {
      process.kill(stranger.pid, "SIGKILL");
    }
  });
});

describe.concurrent.each(shells())("inspect.sh under $name", (shell) => {
  test("tells of a program in the PATH", async () => {
    const facts = await run(shell, "inspect.sh", { gps_command: "cat", gps_cd: "" });
    expect(facts).toMatchObject({ directory: home, path: shell.searchPath });
    expect(facts.uname).toMatch(/^Linux \S+ \S+$/);
    expect(facts.user).toMatch(/^uid=\d+/);
    expect(facts.file).toMatch(/^\/.*\/cat$/);
    expect(facts.header).toMatch(/^7f454c46[0-9a-f]{32}$/);
    expect(facts.listing).toMatch(/^-rwx/);
    expect(facts.mounted).not.toBe("");
    expect(facts.loader).toMatch(/^\/.*ld.*so/);
    expect(facts).not.toHaveProperty("loader_missing");
    expect(facts).not.toHaveProperty("cd");
  });

  test("tells of a script, of its interpreter, and of a directory that cannot be entered", async () => {
    const script = join(home, `script ${shell.name.replaceAll("/", "")}'s`);
    writeFileSync(script, "#!/no/such/interpreter -x\n");
    chmodSync(script, 0o640);
    const facts = await run(shell, "inspect.sh", { gps_command: script, gps_cd: "/no/such/directory" });
    expect(facts).toMatchObject({ cd: "failed", file: script, shebang: "#!/no/such/interpreter -x" });
    expect(facts.listing).toMatch(/^-rw-r-----/);
    expect(facts).not.toHaveProperty("loader");
  });

  test("tells that a loader is missing", async () => {
    const program = join(home, `elf-${shell.name.replaceAll("/", "")}`);
    writeFileSync(program, Buffer.from("\x7fELF\x02\x01\x01\0\0\0\0\0\0/lib/ld-nowhere.so.9\0rest", "latin1"));
    const facts = await run(shell, "inspect.sh", { gps_command: program, gps_cd: "" });
    expect(facts).toMatchObject({ loader: "/lib/ld-nowhere.so.9", loader_missing: "/lib/ld-nowhere.so.9" });
  });

  test("tells little of what is not there", async () => {
    const facts = await run(shell, "inspect.sh", { gps_command: "no-such-command", gps_cd: home });
    expect(facts.file).toBe("");
    expect(facts).not.toHaveProperty("listing");
  });
});

describe.concurrent.each(shells())("listening.sh under $name", (shell) => {
  test("tells a listener from a socket's file, from another file and from nothing, and touches none", async () => {
    const path = join(home, `socket of ${shell.name.replaceAll("/", "")}`);
    let visitors = 0;
    const server = createServer(() => {
      visitors += 1;
    }).listen(path);
    await once(server, "listening");
    expect(await run(shell, "listening.sh", { gps_path: path })).toEqual({ file: "socket", listening: "yes" });
    expect(await run(shell, "listening.sh", { gps_path: home })).toEqual({ file: "other", listening: "no" });
    expect(await run(shell, "listening.sh", { gps_path: `${path}.no` })).toEqual({ file: "none", listening: "no" });
    expect(visitors).toBe(0);
    await new Promise((resolve) => server.close(resolve));
  });

  test("tells that nobody listens any more", async () => {
    const path = join(home, `left-${shell.name.replaceAll(/\W/g, "")}`);
    const script = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    const binder = await startChild(process.execPath, ["-e", script, path], { env: {} });
    await binder.exited;
    expect(await run(shell, "listening.sh", { gps_path: path })).toEqual({ file: "socket", listening: "no" });
  });
});

function startTime(pid: number): string {
  return (
    procFile(pid, "stat")
      .replace(/^.*\) /s, "")
      .split(" ")[19] ?? ""
  );
}
