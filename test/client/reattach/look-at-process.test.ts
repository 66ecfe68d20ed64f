import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { lookAtProcess } from "../../../src/client/reattach/look-at-process.ts";
import { has } from "../../tiers/tiers.ts";
import { eventually } from "../../tools/eventually.ts";

const NO_PROC = "/nowhere";

describe.each([
  ["/proc", "/proc", true],
  ["ps", NO_PROC, has("ps")],
] as const)("by %s", (_name, proc, available) => {
  describe.skipIf(!available)("a process is seen", () => {
    test("to live, with its start time, which stays the same", async () => {
      const sight = await lookAtProcess(process.pid, proc);
      expect(sight).toEqual({ isAlive: true, startTime: expect.stringMatching(/\d/) });
      expect(await lookAtProcess(process.pid, proc)).toEqual(sight);
    });

    test("to be gone when it has ended, and before anybody reaps it", async () => {
      // A shell that has become something else knows nothing of its child.
      const parent = spawn("/bin/sh", ["-c", "sh -c 'echo $$; read word' <&3 & exec 3<&-; exec sleep 5000"], {
        stdio: ["ignore", "pipe", "inherit", "pipe"],
      });
      onTestFinished(() => void parent.kill("SIGKILL"));
      if (!parent.stdout) throw new TypeError("There must be a pipe.");
      const [line] = await once(parent.stdout, "data");
      const child = Number(String(line));
      expect(await lookAtProcess(child, proc)).toMatchObject({ isAlive: true });
      parent.stdio[3]?.destroy();
      const state = () => readFileSync(`/proc/${child}/stat`, "latin1").replace(/^.*\) /s, "")[0];
      await eventually(() => state() === "Z", { what: "a zombie", timeoutMs: 20_000 });
      expect(await lookAtProcess(child, proc)).toEqual({ isAlive: false });

      const ended = once(parent, "exit");
      parent.kill("SIGKILL");
      await ended;
      expect(await lookAtProcess(parent.pid ?? 0, proc)).toEqual({ isAlive: false });
    });
  });
});

test("a process with an odd name is seen as any other", async () => {
  const child = spawn(process.execPath, [
    "-e",
    "process.title = ') Z 1 (x'; console.log(1); setInterval(() => {}, 9e8)",
  ]);
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child.stdout, "data");
  expect(readFileSync(`/proc/${child.pid}/stat`, "latin1")).toContain("() Z 1 (x)");
  const first = await lookAtProcess(child.pid ?? 0);
  expect(first).toEqual({ isAlive: true, startTime: expect.stringMatching(/^\d+$/) });
});

test("a process whose start nobody tells lives all the same", async () => {
  const path = process.env.PATH;
  process.env.PATH = NO_PROC;
  onTestFinished(() => {
    process.env.PATH = path;
  });
  expect(await lookAtProcess(process.pid, NO_PROC)).toEqual({ isAlive: true, startTime: undefined });
});
