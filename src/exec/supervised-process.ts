import type { PassThrough } from "node:stream";
import createDebug from "debug";
import type { ExecChannel } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";
import { within } from "../lifetime/deadline.ts";
import { type Later, later } from "../lifetime/later.ts";
import type { Tail } from "../lifetime/tail.ts";
import type { MarkedStream } from "./after-mark.ts";
import { abandon, begin } from "./begin.ts";
import { asPluginExit, describeExit } from "./exit-status.ts";
import type { LaunchSpec } from "./launch.ts";
import { type Exec, runProgram } from "./run-program.ts";
import type { SpareSupervisor } from "./spare-supervisor.ts";
import { parseStartReport, type StartReport, saidInstead } from "./start-report.ts";

const debug = createDebug("go-plugin-ssh:exec");

/** What the way back from the box may take besides what the supervisor needs. */
const ANSWER_MS = 3_000;
/** How long a session that is over may take to be given up by the server. */
const FREED_MS = 1_000;

/** What a supervised process needs to know. */
export interface SupervisedProcessOptions {
  /** What to run. */
  spec: LaunchSpec;
  /** How to reach the box. */
  exec: Exec;
  /** Aborts when the box cannot be reached any more, with the error for whoever waits. */
  lost: AbortSignal;
  /** Where the plugin's stdout goes. It ends in every case. */
  stdout: PassThrough;
  /** Where the plugin's stderr goes. It ends in every case. */
  stderr: PassThrough;
  /** How often the lease is renewed, in milliseconds; 0: never. */
  heartbeatIntervalMs: number;
  /** Asked once, at the start, for a supervisor that waits and was made for the spec's care. */
  spare?: (() => SpareSupervisor | undefined) | undefined;
}

/** The plugin's two streams. */
type Output = { stdout: MarkedStream; stderr: MarkedStream };

/** One plugin on the box, with the supervisor that owns it, from the exec request to the end. */
export class SupervisedProcess {
  readonly #options: SupervisedProcessOptions;
  readonly #exited: Later<ExitStatus> = later();
  readonly #giveUp = new AbortController();
  #opening: Promise<unknown> = Promise.resolve();
  #channel: ExecChannel | undefined;
  #report: StartReport | undefined;
  #stopping: Promise<void> | undefined;
  #burial: Promise<void> | undefined;
  #isGone = false;
  #output: Output | undefined;

  constructor(options: SupervisedProcessOptions) {
    this.#options = options;
  }

  /** How the plugin ended; rejects with `connection-lost` if that cannot be known. */
  get exited(): Promise<ExitStatus> {
    return this.#exited.promise;
  }

  /** What the supervisor said at the start; `undefined` before. */
  get report(): StartReport | undefined {
    return this.#report;
  }

  /** The end of what the plugin has written to a stream, safe to print. */
  said(stream: "stdout" | "stderr"): string {
    return String(this.#output?.[stream].output ?? "");
  }

  /** Resolves when all that the plugin has written was passed on, which a slow reader may hold up for ever. */
  async passedOn(): Promise<void> {
    await Promise.all([this.#output?.stdout.passedOn, this.#output?.stderr.passedOn]);
  }

  /** Ends the plugin's streams now; what is still under way is thrown away. */
  cutOutput(): void {
    this.#output?.stdout.cut();
    this.#output?.stderr.cut();
  }

  /**
   * Starts the plugin. When it resolves, the box is about to execute the command and has found it executable.
   *
   * @throws {PluginError} `plugin-not-started`, `checksum-mismatch`, `unsupported`, `timeout`, `aborted`, or what the
   *   connection threw
   */
  async start({ signal, timeoutMs }: { signal?: AbortSignal | undefined; timeoutMs: number }): Promise<StartReport> {
    const until = [this.#giveUp.signal, this.#options.lost];
    const noise: Tail[] = [];
    const { environment } = this.#options.spec;
    const onTimeout = () =>
      new PluginError(
        "timeout",
        `The box did not start the plugin within ${timeoutMs} ms.${saidInstead(noise, environment)}`,
        {
          hint:
            "A login shell, a forced command (ForceCommand in sshd_config, command= in authorized_keys) or an rc file that " +
            "waits for input may hold it up, or a box under heavy load.",
        },
      );
    const opening = within({ signal, timeoutMs, onTimeout, until }, (over) => this.#open(over, noise));
    this.#opening = opening.catch(() => {});
    try {
      return await opening;
    } catch (failure) {
      if (this.#channel) abandon(this.#channel);
      this.#end(failure);
      throw failure;
    }
  }

  async #open(over: AbortSignal, noise: Tail[]): Promise<StartReport> {
    const { exec, spec, stdout, stderr } = this.#options;
    const onChannel = (channel: ExecChannel, output: Output) => {
      this.#channel = channel;
      this.#output = output;
    };
    const spare = this.#options.spare?.();
    const line = await begin({ exec, spec, spare, stdout, stderr, noise, onChannel }, over);
    const report = parseStartReport(line, spec.command[0] ?? "", spec);
    this.#report = report;
    debug("started pid %d in %s on %s", report.pid, report.directory, report.platform);
    if (this.#channel) this.#watch(this.#channel);
    return report;
  }

  /** Latches the end, and renews the lease until then. */
  #watch(channel: ExecChannel): void {
    const { heartbeatIntervalMs, lost } = this.#options;
    const beat = () => {
      if (channel.stdin.writable) channel.stdin.write("heartbeat\n");
    };
    const timer = heartbeatIntervalMs > 0 ? setInterval(beat, heartbeatIntervalMs).unref() : undefined;
    const onExit = async (status: ExitStatus | undefined) => {
      if (!status) return this.#end(lost.aborted ? lost.reason : channelClosed());
      await this.#bury(channel, status);
      this.#isGone = true;
      const exit = asPluginExit(status);
      debug("pid %d ended with %s", this.#report?.pid, describeExit(exit));
      this.#exited.resolve(exit);
    };
    const onLost = (reason: unknown) => this.#end(reason);
    within({ until: [lost] }, () => channel.exited)
      .finally(() => clearInterval(timer))
      .then(onExit)
      .catch(onLost);
  }

  #end(failure: unknown): void {
    this.#exited.reject(failure);
    this.#options.stdout.end();
    this.#options.stderr.end();
  }

  /**
   * Ends the plugin, more and more firmly. May be called at any moment and often. When it resolves the plugin is gone.
   *
   * @throws {PluginError} `still-running` if it lives, `connection-lost` if that cannot be known
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    this.#giveUp.abort(new PluginError("closed", "The plugin was killed while it was being started."));
    await this.#opening;
    const channel = this.#channel;
    if (channel && this.#isGone) return this.#freed(channel);
    if (!channel) return this.#end(new PluginError("closed", "The plugin was killed before it was started."));

    const patienceMs = this.#options.spec.killGraceMs + ANSWER_MS;
    const ladder: [rung: string, act: () => unknown, patienceMs: number][] = [
      ["stop line", () => channel.stdin.writable && channel.stdin.write("stop\n"), patienceMs],
      ["end of input", () => this.#endInput(channel), ANSWER_MS],
      ["signal TERM", () => channel.signal("TERM"), patienceMs],
    ];
    // Without a report nobody is there to obey, or only since the input has ended.
    for (const [rung, act, patience] of this.#report ? ladder : ladder.slice(1)) {
      act();
      if (await this.#gone(channel, patience)) return this.#freed(channel);
      debug("pid %d survived: %s", this.#report?.pid, rung);
    }
    await this.#endRecorded(channel);
  }

  /**
   * Closes what goes in and what comes out. Servers other than OpenSSH tell of an end only when all output was taken,
   * and a reader who does not read would keep it from us.
   */
  #endInput(channel: ExecChannel): void {
    this.cutOutput();
    channel.stdin.end();
  }

  /** True once the supervisor has ended, which it does last. Throws if the connection went first. */
  async #gone(channel: ExecChannel, timeoutMs: number): Promise<boolean> {
    const ended = within({ timeoutMs, until: [this.#options.lost] }, () => channel.exited);
    const status = await ended.catch((failure: PluginError): "not yet" => {
      if (failure.code === "timeout") return "not yet";
      throw this.#cannotKnow(failure);
    });
    if (status === undefined) throw this.#cannotKnow(channelClosed());
    if (status === "not yet") return false;
    await this.#bury(channel, status);
    return true;
  }

  /** A plugin's signal comes as a code, so a signal is the supervisor's own: somebody killed it, and it tidied nothing. */
  #bury(channel: ExecChannel, status: ExitStatus): Promise<void> {
    if (status.signal !== null) this.#burial ??= this.#endRecorded(channel);
    return this.#burial ?? Promise.resolve();
  }

  /** The session's place on the connection is free for another plugin. Unread output may hold it up, but not us. */
  async #freed(channel: ExecChannel): Promise<void> {
    await within({ timeoutMs: FREED_MS, until: [this.#options.lost] }, () => channel.closed).catch(() => {});
  }

  /** The last rung: a channel of its own, and the process by its pid and start time. */
  async #endRecorded(channel: ExecChannel): Promise<void> {
    const { exec } = this.#options;
    const report = this.#report;
    if (!report) return channel.close();
    const variables = {
      gps_pid: String(report.pid),
      gps_start: report.startTime,
      gps_supervisor: String(report.supervisorPid),
      gps_dir: report.directory,
    };
    const { state } = await runProgram(exec, ["family.sh", "end-recorded.sh"], variables, { timeoutMs: 10_000 });
    channel.close();
    if (state === "gone") return;
    throw new PluginError("still-running", `The plugin, pid ${report.pid} on the box, survived SIGKILL.`, {
      hint: "The box itself may be stuck, for example on a dead network file system.",
    });
  }

  #cannotKnow(cause: unknown): PluginError {
    const { leaseMs, killGraceMs } = this.#options.spec;
    const within = leaseMs > 0 ? ` within ${leaseMs + killGraceMs} ms` : " when it notices that the connection is gone";
    return new PluginError("connection-lost", "The connection broke, so the plugin's end could not be seen.", {
      cause,
      hint: `The supervisor on the box ends the plugin and tidies up${within}.`,
    });
  }
}

function channelClosed(): PluginError {
  return new PluginError("connection-lost", "The server closed the plugin's channel without saying how it ended.", {
    hint: "The session's sshd process may have been killed. The supervisor ends the plugin and tidies up.",
  });
}
