import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { launch } from "../../src/exec/launch.ts";
import { LOADER, randomWord } from "../../src/exec/loader.ts";
import { eventually } from "../tools/eventually.ts";
import { startChild, type TestShell } from "./shells.ts";
import { GIVE_UP_MS, processesWith } from "./trial.ts";

/** A channel on which nothing has been said, with a directory of its own below `scratch`. */
export async function rawChannel(shell: TestShell, scratch: string) {
  const base = join(scratch, randomWord().slice(0, 12));
  mkdirSync(base);
  const marker = `raw${randomWord()}`;
  const env = { PATH: shell.searchPath, HOME: base, TRIAL: marker };
  return { channel: await startChild(shell.path, ["-c", LOADER], { env, cwd: base }), marker, base };
}

/** All that has to be sent in order to start a plugin that stays. */
export function program(shell: TestShell, base: string, command = ["sleep", "5000"]): string {
  const spec = { command, environment: {}, scrub: [], killGraceMs: 5_000, leaseMs: 60_000 };
  return launch({ ...spec, directoryBase: base, shell: shell.path }).text;
}

/** Waits until there is no process with the marker, and nothing in the directory `but` some files. */
export async function expectNothing(marker: string, base: string, but: string[] = []): Promise<void> {
  const left = () => [
    ...processesWith(marker).map(({ command }) => command),
    ...readdirSync(base).filter((name) => !but.includes(name)),
  ];
  await eventually(() => left().length === 0, {
    what: "the end of all processes and directories",
    timeoutMs: GIVE_UP_MS,
    state: left,
  });
}
