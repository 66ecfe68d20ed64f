import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { describe, expect, test } from "vitest";
import { descendants, eventually, isAlive, openSockets, processesWith, snapshotTmp } from "./leaks.ts";

describe("descendants and processesWith", () => {
  test("find children and their children, while they live", async () => {
    const mark = `314${process.pid}`;
    const child = spawn("sh", ["-c", `sleep ${mark} & wait`], { detached: true, stdio: "ignore" });
    const pid = child.pid ?? 0;
    const [sleeper] = await eventually(() => (descendants(pid).length === 1 ? descendants(pid) : undefined), {
      what: "the child's child",
    });
    expect(descendants(process.pid)).toEqual(expect.arrayContaining([pid, sleeper]));
    // It is there for a moment before it is `sleep`.
    const found = () =>
      expect(processesWith(`sleep ${mark}`)).toContainEqual({ pid: sleeper, cmdline: `sleep ${mark}` });
    await eventually(() => found() ?? true, { what: "the child's child to be found" });
    expect(isAlive(pid)).toBe(true);

    process.kill(-pid, "SIGKILL");
    await once(child, "exit");
    await eventually(() => processesWith(`sleep ${mark}`).length === 0, { what: "both to be gone" });
    expect(isAlive(pid)).toBe(false);
  });

  test("refuse pids of which everybody descends", () => {
    expect(() => descendants(0)).toThrow(RangeError);
  });
});

describe("openSockets", () => {
  test("sees listeners come and go", async () => {
    const before = openSockets();
    const server = createServer().listen({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    expect(openSockets()).not.toEqual(before);
    server.close();
    await eventually(() => expect(openSockets()).toEqual(before) ?? true, { what: "the listener to be gone" });
  });
});

describe("snapshotTmp", () => {
  test("lists what begins with a prefix", () => {
    const directory = mkdtempSync(join(tmpdir(), "gps-snapshot-"));
    expect(snapshotTmp(["gps-snap"])).toContain(basename(directory));
    expect(snapshotTmp(["no-such-prefix-"])).toEqual([]);
    rmSync(directory, { recursive: true });
    expect(snapshotTmp(["gps-snap"])).not.toContain(basename(directory));
  });
});
