import { setTimeout as pause } from "node:timers/promises";
import type { Address } from "../../contract/address.ts";
import { PluginError } from "../../contract/errors.ts";
import type { AttachedRunner, ExitStatus, PluginProcess } from "../../contract/runner.ts";
import { within } from "../../lifetime/deadline.ts";
import { lookAtProcess, type Sight } from "./look-at-process.ts";

/** How long the kernel may take to end a process. */
const KILL_MS = 5_000;
/** How often it is asked about that. */
const KILL_POLL_MS = 20;

/** Only a parent learns how a process has ended. */
const UNKNOWN: ExitStatus = Object.freeze({ code: null, signal: null });

/**
 * A plugin of this machine that somebody else has started: `wait` asks for it now and then, and `kill` kills it. Addresses
 * are the same on both sides. It holds nothing open, and its timers keep no process alive but for those of `kill`.
 *
 * Same as go-plugin's `CmdAttachedRunner`, but it knows the process by its start time as well.
 */
export class AttachedProcess implements AttachedRunner {
  readonly process: PluginProcess;
  readonly #pollIntervalMs: number;
  #isGone = false;
  #killing: Promise<void> | undefined;

  /** @param startTime as it was seen when the process was known to be the plugin */
  constructor(pid: number, startTime: string | undefined, pollIntervalMs: number) {
    this.process = { pid, startTime };
    this.#pollIntervalMs = pollIntervalMs;
  }

  /** The pid, as with go-plugin. */
  get id(): string {
    return String(this.process.pid);
  }

  /** Resolves with neither code nor signal, because nobody but its parent learns how it ended. */
  async wait(signal?: AbortSignal): Promise<ExitStatus> {
    await within({ signal }, (over) => this.#untilGone(this.#pollIntervalMs, over));
    return UNKNOWN;
  }

  /**
   * Kills the process, and it alone, with SIGKILL, as go-plugin does: a host that wants it gracefully asks the plugin first.
   * It is looked at once more right before: a process that only has its pid, or cannot be told from such a one, is left
   * alone.
   *
   * @throws {PluginError} `still-running`
   */
  kill(signal?: AbortSignal): Promise<void> {
    const killing = this.#killing ?? this.#kill();
    this.#killing = killing;
    // Whoever could not end it may try again.
    killing.catch(() => {
      this.#killing = undefined;
    });
    return within({ signal }, () => killing);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }

  async pluginToHost(pluginAddress: Address): Promise<Address> {
    return pluginAddress;
  }

  async hostToPlugin(hostAddress: Address): Promise<Address> {
    return hostAddress;
  }

  async #kill(): Promise<void> {
    const sight = await this.#look();
    if (!this.#sees(sight)) return;
    if (sight.startTime === undefined) throw this.#stillRunning("it cannot be told from another that got its pid");
    try {
      process.kill(this.process.pid, "SIGKILL");
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ESRCH") {
        throw this.#stillRunning(`it may not be signalled (${(cause as Error).message})`, cause);
      }
    }
    const onTimeout = () => this.#stillRunning("it survived SIGKILL");
    await within({ timeoutMs: KILL_MS, onTimeout }, (over) => this.#untilGone(KILL_POLL_MS, over));
  }

  async #untilGone(intervalMs: number, over: AbortSignal): Promise<void> {
    while (this.#sees(await this.#look())) await pause(intervalMs, undefined, { signal: over, ref: false });
  }

  async #look(): Promise<Sight> {
    return this.#isGone ? { isAlive: false } : lookAtProcess(this.process.pid);
  }

  /** Whether what was seen is the plugin; once it is not, it never is again. */
  #sees(sight: Sight): sight is Sight & { isAlive: true } {
    const { startTime } = this.process;
    const isOther = sight.isAlive && sight.startTime !== undefined && startTime !== undefined;
    if (!sight.isAlive || (isOther && sight.startTime !== startTime)) this.#isGone = true;
    return !this.#isGone;
  }

  #stillRunning(why: string, cause?: unknown): PluginError {
    return new PluginError("still-running", `The plugin, pid ${this.process.pid}, was not ended: ${why}.`, {
      hint: "End it under the account that started it.",
      cause,
    });
  }
}
