import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import {
  type Bench,
  connectTo,
  embeddedKind,
  localKind,
  opensshClientKind,
  opensshKind,
  type RunnerKind,
} from "../contract/runner-kinds.ts";
import { Said } from "../contract/said.ts";
import { hasTier } from "../tiers/tiers.ts";
import { built } from "../tools/built.ts";
import { eventually } from "../tools/eventually.ts";
import { isAlive } from "../tools/leaks.ts";

/** Far more than it takes; a host that is kept alive would stay for ever. */
const SOON_MS = 40_000;

const KINDS: [name: string, kind: RunnerKind, pooled: boolean, available: boolean][] = [
  [localKind.name, localKind, false, true],
  [embeddedKind.name, embeddedKind, false, true],
  [`${embeddedKind.name}, pooled`, embeddedKind, true, true],
  [opensshKind().name, opensshKind(), false, hasTier("openssh")],
  [opensshClientKind().name, opensshClientKind(), false, hasTier("openssh")],
  [`${opensshClientKind().name}, pooled`, opensshClientKind(), true, hasTier("openssh")],
];

describe.each(KINDS)("a host with %s", (_name, kind, pooled, available) => {
  describe.skipIf(!available)("ends by itself", () => {
    test.each([
      ["kill", ["has-children.sh", "stays"]],
      ["wait for the end", ["exits.sh", "3", "bye"]],
      ["fail to start", ["no-such-fixture"]],
      ["give up the start", ["stays.sh"]],
    ] as const)("when all it did was to %s", async (what, fixture) => {
      await using bench = await kind.open();
      const host = startHost(bench, kind, what, fixture, pooled);
      expect(await host.ended).toEqual({ code: 0, signal: null, output: expect.stringMatching(/^done .*\n$/) });
      await isEmpty(bench, host.pid);
    });
  });

  describe.skipIf(!available)("takes its plugin along", () => {
    test("when it fails by a mistake", async () => {
      await using bench = await kind.open();
      const host = startHost(bench, kind, "throw", ["has-children.sh", "stays"], pooled);
      expect(await host.ended).toMatchObject({ code: 1, output: expect.stringContaining("a mistake") });
      await isEmpty(bench, host.pid);
    });

    test.each(["SIGTERM", "SIGKILL"] as const)("when it is ended by %s", async (signal) => {
      await using bench = await kind.open();
      const host = startHost(bench, kind, "stay", ["has-children.sh", "stays"], pooled);
      await host.stdout.until(/^done /m);
      host.child.kill(signal);
      expect(await host.ended).toMatchObject({ code: null, signal });
      await boxIsEmpty(bench, host.pid);
      // Nothing runs any more when a signal has ended a process, so its directory of sockets is left to the next one.
      for (const name of readdirSync(bench.hostTmp)) {
        expect(name).toMatch(new RegExp(`^gps-[0-9a-z]+_${host.child.pid}_`));
        rmSync(join(bench.hostTmp, name), { recursive: true });
      }
    });
  });
});

/** A host in a process of its own, with a plugin on the bench. */
function startHost(
  bench: Bench,
  kind: RunnerKind,
  what: string,
  [fixture, ...args]: readonly string[],
  pooled: boolean,
) {
  const script = fileURLToPath(new URL("../fixtures/host-that-lets-go.mjs", import.meta.url));
  const library = pathToFileURL(join(built(), "index.js")).href;
  const child = spawn(process.execPath, [script, what, library], { stdio: "pipe" });
  const { destination, ...connect } = bench.server
    ? { ...connectTo(bench.server), ...kind.connect }
    : { destination: undefined };
  child.stdin.end(
    JSON.stringify({
      command: bench.command(fixture ?? "", ...args),
      directoryBase: bench.boxTmp,
      killGraceMs: 1000,
      ...(destination ? { destination } : { local: true }),
      ...(pooled ? { pooled: { ...connect, idleTimeoutMs: 300 }, spareSupervisors: 1 } : connect),
    }),
  );
  const [stdout, stderr] = [new Said(child.stdout), new Said(child.stderr)];
  return {
    child,
    stdout,
    ended: ending(child, () => stdout.text + stderr.text),
    /** The plugin's pid, once the host has said it. */
    pid: () => Number(/#(\d+)/.exec(stdout.text)?.[1] ?? 0),
  };
}

async function ending(child: ChildProcess, output: () => string) {
  const patience = setTimeout(() => child.kill("SIGABRT"), SOON_MS);
  const [code, signal] = await once(child, "close");
  clearTimeout(patience);
  return { code, signal, output: output() };
}

async function isEmpty(bench: Bench, pid: () => number): Promise<void> {
  await boxIsEmpty(bench, pid);
  expect(readdirSync(bench.hostTmp)).toEqual([]);
}

async function boxIsEmpty(bench: Bench, pid: () => number): Promise<void> {
  const left = () => [...readdirSync(bench.boxTmp), ...(pid() > 0 && isAlive(pid()) ? [`plugin ${pid()}`] : [])];
  await eventually(() => left().length === 0, { timeoutMs: SOON_MS, what: "the box to be empty", state: left });
}
