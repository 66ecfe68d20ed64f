import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { ExecChannel } from "../../src/contract/connection.ts";
import type { LaunchSpec } from "../../src/exec/launch.ts";
import { randomWord } from "../../src/exec/loader.ts";
import type { Exec } from "../../src/exec/run-program.ts";
import { SpareSupervisor, type SpareSupervisorOptions } from "../../src/exec/spare-supervisor.ts";
import type { StartReport } from "../../src/exec/start-report.ts";
import { SupervisedProcess } from "../../src/exec/supervised-process.ts";
import { despiteLoss } from "../../src/lifetime/despite-loss.ts";
import { eventually, signalFound } from "../tools/leaks.ts";
import { localExec, type TestShell } from "./shells.ts";

const LOOK_AGAIN_MS = 50;

/** After how long a test gives up; many of them run at once, and other things beside them. */
export const GIVE_UP_MS = 50_000;

/** A plugin that is a script of the machine's own /bin/sh. */
export function sh(script: string): string[] {
  return ["/bin/sh", "-c", script];
}

/** A child of its own, one in a session of its own, and one of that which has thrown its environment away but for PATH. */
export const FAMILY = `
  sleep 5000 & echo child=$!
  (sleep 5001 & echo grandchild=$!; wait) &
  setsid sh -c 'echo session=$$; exec sleep 5002' &
  env -i PATH="$PATH" sh -c 'echo bare=$$; exec sleep 5003' &
  echo plugin=$$
`;
/** The names under which {@link FAMILY} tells its pids. */
export const MEMBERS = ["child", "grandchild", "session", "bare", "plugin"] as const;

/** What differs from trial to trial. */
export interface TrialOptions {
  command: readonly string[];
  spec?: Partial<LaunchSpec>;
  heartbeatIntervalMs?: number;
  /** Variables of the session, besides PATH and HOME. */
  session?: Record<string, string>;
  /** The login directory; by default one that is made for the trial. */
  cwd?: string;
}

/**
 * One plugin under one shell, in a session and a directory of its own. When it is disposed of, the plugin has been
 * stopped, and nothing of it is left: no process and no private directory.
 */
export class Trial implements AsyncDisposable {
  /** In the environment of each process of this trial. */
  readonly marker = `trial${randomWord()}`;
  /** Where the private directory is made; also the login directory. */
  readonly base = mkdtempSync(join(tmpdir(), "gx-"));
  readonly lost = new AbortController();
  readonly process: SupervisedProcess;
  readonly #stdout = new PassThrough();
  readonly #stderr = new PassThrough();
  readonly #received = { stdout: "", stderr: "" };
  /** All that the plugin has written, once it has ended. */
  readonly output: { stdout: Promise<Buffer>; stderr: Promise<Buffer> };
  /** The plugin's channel. */
  channel: (ExecChannel & { pid?: number }) | undefined;
  /** How many channels there have been. */
  channels = 0;
  /** A supervisor that waits for the plugin, once one was made. */
  spare: SpareSupervisor | undefined;
  readonly #spareOptions: SpareSupervisorOptions;

  constructor(shell: TestShell, { command, spec = {}, heartbeatIntervalMs = 0, session = {}, cwd }: TrialOptions) {
    const env = { PATH: shell.searchPath, HOME: this.base, TRIAL: this.marker, ...session };
    const local = localExec(shell, { env, cwd: cwd ?? this.base });
    const exec: Exec = async (request, signal) => {
      const channel = await local(request, signal);
      this.channel ??= channel;
      this.channels += 1;
      return channel;
    };
    const care = { directoryBase: this.base, killGraceMs: 5_000, leaseMs: 0, shell: shell.path, ...spec };
    this.#spareOptions = { exec, care, heartbeatIntervalMs };
    this.process = new SupervisedProcess({
      spec: { command, environment: {}, scrub: [], ...care },
      exec,
      spare: () => this.spare,
      lost: this.lost.signal,
      stdout: this.#stdout,
      stderr: this.#stderr,
      heartbeatIntervalMs,
    });
    this.#stdout.on("data", (chunk: Buffer) => {
      this.#received.stdout += chunk.toString("latin1");
    });
    this.#stderr.on("data", (chunk: Buffer) => {
      this.#received.stderr += chunk.toString("latin1");
    });
    this.output = { stdout: buffer(this.#stdout), stderr: buffer(this.#stderr) };
  }

  /** A trial whose plugin has been started. */
  static async start(shell: TestShell, options: TrialOptions): Promise<Trial> {
    const trial = new Trial(shell, options);
    try {
      await trial.start();
      return trial;
    } catch (failure) {
      await trial[Symbol.asyncDispose]();
      throw failure;
    }
  }

  /** Has a supervisor wait for the plugin. When it resolves, that is under way. */
  async wait(): Promise<SpareSupervisor> {
    this.spare = await SpareSupervisor.open(this.#spareOptions);
    return this.spare;
  }

  start(): Promise<StartReport> {
    return this.process.start({ timeoutMs: 30_000 });
  }

  /** What the box said at the start. */
  get report(): StartReport {
    if (!this.process.report) throw new TypeError("The plugin has not been started.");
    return this.process.report;
  }

  /** Waits until the plugin has written a line to stdout that matches, and gives the match. */
  says(pattern: RegExp): Promise<RegExpExecArray> {
    const what = `${pattern} on stdout`;
    return eventually(() => pattern.exec(this.#received.stdout), {
      what,
      timeoutMs: GIVE_UP_MS,
      state: () => this.#received,
    });
  }

  /** The pids that the plugin has written as `name=pid`. */
  async pids(...names: string[]): Promise<number[]> {
    return Promise.all(names.map(async (name) => Number((await this.says(new RegExp(`\\b${name}=(\\d+)\\n`)))[1])));
  }

  /** The private directories that are there now. */
  directories(): string[] {
    return readdirSync(this.base).filter((name) => name.startsWith("gp-"));
  }

  /** The living processes of this trial: whoever has its marker in the environment or in the command line. */
  processes(): { pid: number; command: string }[] {
    return processesWith(this.marker);
  }

  /** Waits until nothing of it is left. */
  async nothingLeft(): Promise<void> {
    const state = () => ({ processes: this.processes(), directories: this.directories() });
    const gone = async () => {
      if (this.processes().length + this.directories().length === 0) return true;
      // A look at all processes takes its time, and many trials look at once.
      await delay(LOOK_AGAIN_MS);
      return false;
    };
    await eventually(gone, { what: "the end of all processes and directories", timeoutMs: GIVE_UP_MS, state });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await despiteLoss(this.process.stop());
      this.channel?.stdin.destroy();
      await this.nothingLeft();
    } finally {
      for (const { pid } of this.processes()) signalFound(pid);
      rmSync(this.base, { recursive: true, force: true });
    }
  }
}

/** The living processes that have `marker` in their environment or their command line. */
export function processesWith(marker: string): { pid: number; command: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .map((name) => ({ pid: Number(name), command: procFile(name, "cmdline").replaceAll("\0", " ") }))
    .filter(({ pid, command }) => command.includes(marker) || procFile(pid, "environ").includes(marker));
}

/** Whether a process lives; one that has died and was not reaped does not. */
export function isAlive(pid: number): boolean {
  return /^.*\) [^ZX] /s.test(procFile(pid, "stat"));
}

/** A file of /proc as text; empty if the process is gone or has died. */
export function procFile(pid: number | string, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return "";
  }
}

/** What a process has open: the targets of its descriptors, by number. What it closes at this moment is left out. */
export function openFiles(pid: number): Record<string, string> {
  const directory = `/proc/${pid}/fd`;
  const files: Record<string, string> = {};
  for (const fd of readdirSync(directory)) {
    try {
      files[fd] = readlinkSync(join(directory, fd));
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code !== "ENOENT") throw failure;
    }
  }
  return files;
}
