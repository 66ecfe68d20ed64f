import { PassThrough } from "node:stream";
import type { ExecChannel } from "../../src/contract/connection.ts";
import type { ExitStatus } from "../../src/contract/runner.ts";
import type { LaunchSpec } from "../../src/exec/launch.ts";
import type { Exec } from "../../src/exec/run-program.ts";
import { SupervisedProcess } from "../../src/exec/supervised-process.ts";
import { type Later, later } from "../../src/lifetime/later.ts";

/** A channel that is played by the test. */
export class FakeChannel implements ExecChannel {
  readonly stdin = new PassThrough();
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly #exited: Later<ExitStatus | undefined> = later();
  readonly #closed: Later<void> = later();
  readonly exited = this.#exited.promise;
  readonly closed = this.#closed.promise;
  /** All that was done to it, in order, apart from what was written. */
  readonly acts: string[] = [];
  /** What was written to its stdin. */
  written = "";

  constructor() {
    this.stdin.on("data", (chunk: Buffer) => {
      this.written += chunk;
    });
    this.stdin.on("end", () => this.acts.push("end"));
  }

  signal(name: string): void {
    this.acts.push(`signal ${name}`);
  }

  close(): void {
    this.acts.push("close");
  }

  /** The mark of the program that was written to it. */
  get mark(): string {
    return /\bgps_mark=([\w']+)\n/.exec(this.written)?.[1]?.replace("''", "") ?? "no mark yet";
  }

  /** Says what a supervisor says of a plugin that it has started. */
  report(text = "started pid=123 start=456 supervisor=122 platform=Linux/x86_64 dir=/tmp/gp-0123456789"): void {
    this.stderr.write(`${this.mark}\n`);
    this.stdout.write(`${this.mark} ${text}\n`);
  }

  /** The command has ended and the channel with it; `undefined`: the channel alone. */
  exit(status?: ExitStatus | number): void {
    this.stdout.end();
    this.stderr.end();
    this.#exited.resolve(typeof status === "number" ? { code: status, signal: null } : status);
    this.#closed.resolve();
  }

  /** The command has ended; the channel is still open. */
  exitWithoutClose(code: number): void {
    this.#exited.resolve({ code, signal: null });
  }

  freeUp(): void {
    this.#closed.resolve();
  }
}

/** A box that is played by the test: it opens a channel for each exec, at once or when it is told to. */
export class FakeBox {
  readonly lost = new AbortController();
  readonly channels: FakeChannel[] = [];
  readonly requests: { command: string; signal: AbortSignal | undefined }[] = [];
  /** What exec waits for before it opens a channel. */
  opening: Promise<unknown> = Promise.resolve();

  readonly exec: Exec = async (command, signal) => {
    this.requests.push({ command, signal });
    await this.opening;
    const channel = new FakeChannel();
    this.channels.push(channel);
    return channel;
  };

  /** The channel number `n`, from 0 on. */
  channel(n = 0): FakeChannel {
    const channel = this.channels[n];
    if (!channel) throw new TypeError(`There is no channel ${n}.`);
    return channel;
  }

  /** A process on this box, with its two streams. */
  process(spec: Partial<LaunchSpec> = {}, heartbeatIntervalMs = 0) {
    const [stdout, stderr] = [new PassThrough(), new PassThrough()];
    const process = new SupervisedProcess({
      spec: { command: ["/plugin"], environment: {}, scrub: [], killGraceMs: 5_000, leaseMs: 60_000, ...spec },
      exec: this.exec,
      lost: this.lost.signal,
      stdout,
      stderr,
      heartbeatIntervalMs,
    });
    return { process, stdout, stderr };
  }
}

/** Lets everything happen that needs nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise(setImmediate);
}

/** A process that has been started, on a channel that has forgotten what was written to start it. */
export async function started(spec: Partial<LaunchSpec> = {}, heartbeatIntervalMs = 0) {
  const box = new FakeBox();
  const own = box.process(spec, heartbeatIntervalMs);
  const starting = own.process.start({ timeoutMs: 30_000 });
  await settled();
  box.channel().report();
  await starting;
  const channel = box.channel();
  channel.written = "";
  return { box, channel, ...own };
}

/** A promise, and whether it has been settled. */
export function watched(promise: Promise<unknown>) {
  const state = { is: "pending" };
  promise.then(
    () => {
      state.is = "resolved";
    },
    (failure) => {
      state.is = failure.code;
    },
  );
  return state;
}
