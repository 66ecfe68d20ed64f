import { tmpdir } from "node:os";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { PluginError } from "../../src/contract/errors.ts";
import { LOADER, randomWord } from "../../src/exec/loader.ts";
import { SupervisedProcess } from "../../src/exec/supervised-process.ts";
import { hasTier } from "../tiers/tiers.ts";
import { eventually } from "../tools/eventually.ts";
import { shells, startChild, type TestShell } from "./shells.ts";
import { GIVE_UP_MS, processesWith, sh } from "./trial.ts";

/** Below a mount of its own too, so that it is there when /tmp is not. */
const HOME = "/mnt/home";

/** How each place can be spoilt, as a mount. */
const FULL = "mount -t tmpfs -o nr_inodes=1 none";
const READ_ONLY = "mount -t tmpfs -o ro none";
const NO_EXEC = "mount -t tmpfs -o noexec none";
/** Room for names, not for a byte. */
const NO_BYTES = (place: string) => `mount -t tmpfs -o size=4k none ${place}; head -c 4096 /dev/zero >${place}/full`;

/** Places, spoilt in the order in which they stand; and where the private directory is made then. */
const BOXES: [what: string, mounts: string[], directory: RegExp][] = [
  ["a full /tmp", [`${FULL} /tmp`], /^\/var\/tmp\/gp-/],
  ["a /tmp without a free byte", [NO_BYTES("/tmp")], /^\/tmp\/gp-/],
  ["a read-only /tmp", [`${READ_ONLY} /tmp`], /^\/var\/tmp\/gp-/],
  ["a /tmp where nothing may be executed", [`${NO_EXEC} /tmp`], /^\/tmp\/gp-/],
  ["nothing but a home to write to", [`${READ_ONLY} /var/tmp`, `${FULL} /tmp`], /\/home\/gp-/],
];

/** A plugin that needs its private directory for a socket, and has children that must not stay. */
const PLUGIN = sh('sleep 5000 & test -d "$PLUGIN_UNIX_SOCKET_DIR" && echo ready; wait');

describe.skipIf(!hasTier("mounts"))("mounts of its own:", () => {
  describe.concurrent.each(shells().filter(({ path }) => !path.startsWith(tmpdir())))("under $name", (shell) => {
    test.each(BOXES)("%s", async (_what, mounts, directory) => {
      const box = start(shell, mounts, PLUGIN);
      const report = await box.process.start({ timeoutMs: GIVE_UP_MS });
      expect(report.directory).toMatch(directory);
      await eventually(() => box.process.said("stdout") === "ready\n", { what: "the plugin", timeoutMs: GIVE_UP_MS });
      await box.process.stop();
      expect(await box.process.exited).toEqual({ code: null, signal: "SIGTERM" });
      expect(await box.stderr).toBe("");
      // The supervisor's own helpers were told to go, and it did not wait for them.
      const left = () => processesWith(box.marker);
      await eventually(() => left().length === 0, { what: "all processes to end", timeoutMs: GIVE_UP_MS, state: left });
    });

    test("no /proc: the plugin ends with its children all the same", async () => {
      const box = start(shell, ["mount -t tmpfs none /proc"], PLUGIN);
      const report = await box.process.start({ timeoutMs: GIVE_UP_MS });
      expect(report.startTime).toBe("");
      await eventually(() => box.process.said("stdout") === "ready\n", { what: "the plugin", timeoutMs: GIVE_UP_MS });
      await box.process.stop();
      expect(await box.process.exited).toEqual({ code: null, signal: "SIGTERM" });
      await eventually(() => processesWith(box.marker).length === 0, { what: "its children to end" });
    });

    test("no place to write to is said, with the places", async () => {
      const mounts = [`${READ_ONLY} ${HOME}`, `${READ_ONLY} /var/tmp`, `${FULL} /tmp`];
      const failure = await start(shell, mounts, PLUGIN)
        .process.start({ timeoutMs: GIVE_UP_MS })
        .catch((error) => error);
      expect(failure).toBeInstanceOf(PluginError);
      expect(failure.code).toBe("plugin-not-started");
      expect(failure.hint).toMatch(/\/tmp.*\/var\/tmp.*HOME.*directoryBase/);
    });

    test("a plugin where nothing may be executed is not started, and the reason is among the hints", async () => {
      const mounts = [`${NO_EXEC} /tmp`, "cp /bin/true /tmp/plugin"];
      const failure = await start(shell, mounts, ["/tmp/plugin"])
        .process.start({ timeoutMs: GIVE_UP_MS })
        .catch((error) => error);
      expect(failure.code).toBe("plugin-not-started");
      expect(failure.hint).toContain("noexec");
    });
  });
});

/** A plugin on a box whose mounts were changed; what it writes; and a word that is in the environment of all of it. */
function start(shell: TestShell, mounts: string[], command: string[]) {
  const marker = `odd${randomWord()}`;
  const [stdout, stderr] = [new PassThrough().resume(), new PassThrough()];
  const env = { PATH: `${shell.searchPath}`, HOME, TRIAL: marker };
  const script = `mount -t tmpfs none /mnt\nmkdir ${HOME}\n${mounts.join("\n")}\nexec '${shell.path}' -c "$0"`;
  const process = new SupervisedProcess({
    spec: { command, environment: {}, scrub: [], killGraceMs: 5_000, leaseMs: 60_000, shell: shell.path },
    exec: () => startChild("/usr/bin/unshare", ["-m", "/bin/sh", "-c", script, LOADER], { env }),
    lost: new AbortController().signal,
    stdout,
    stderr,
    heartbeatIntervalMs: 0,
  });
  return { process, marker, stderr: text(stderr) };
}
