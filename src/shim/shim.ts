import { formatAddress } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../index.ts";
import { within } from "../lifetime/deadline.ts";
import type { Carry, OpenCarry } from "./carry.ts";
import { chooseCarry } from "./choose-carry.ts";
import { findCookie, isStartedByHost } from "./cookie.ts";
import { type Ends, listenForEnds } from "./ends.ts";
import { EXIT_CODES, exitCodeOf } from "./exit-codes.ts";
import { readContract } from "./forwarded-environment.ts";
import { hostOfCookie } from "./host-programs.ts";
import { HostStderr } from "./host-stderr.ts";
import { told } from "./log-words.ts";
import { OnBox, type StartedOnBox } from "./on-box.ts";
import { checkSettings, type ShimSettings, START_TIMEOUT_MS } from "./settings.ts";
import { STARTED_BY_HAND } from "./started-by-hand.ts";

/** A plugin that was told to end may use its grace; then the box finishes by itself. */
const END_MS = 12_000;
/** A host kills what has not ended two seconds after its Shutdown, so a reader that stands still is not waited for. */
const LAST_WORDS_MS = 1_500;
/** As much for a host that has not yet read what the plugin sent it last. */
const LAST_BYTES_MS = 1_000;

/**
 * Stands in the place of a plugin: starts the real one on a box, prints one handshake line whose address is on this side,
 * and carries the host's connections. Ends the process when the plugin has ended, with the plugin's exit status.
 *
 * Nothing else is ever written to stdout, and stdin is never read: both are the host's.
 *
 * @param args arguments that the host gave to the shim, for the plugin
 * @param again what to type in order to install the shim again, if it is an installed one
 */
export async function runShim(settings: ShimSettings, args: readonly string[] = [], again?: string): Promise<never> {
  if (!isStartedByHost(process.env)) {
    process.stderr.write(STARTED_BY_HAND);
    return process.exit(1);
  }
  const ends = listenForEnds(staysAfterHost(settings));
  const stderr = new HostStderr(process.stderr, ends.hostGone);
  process.stdout.on("error", ends.hostGone);
  const shim = new Shim(settings, args, ends, stderr);
  const exitCode = await shim.run(again);
  await Promise.all([stderr.finish(LAST_WORDS_MS), shim.settled()]);
  return process.exit(exitCode);
}

/** One run, from the environment to the exit code. */
class Shim {
  readonly #settings: ShimSettings;
  readonly #args: readonly string[];
  readonly #ends: Ends;
  readonly #stderr: HostStderr;
  #onBox: OnBox | undefined;
  /** What may still have something for the host, once the plugin has ended by itself. */
  #leftOpen: OpenCarry | undefined;

  constructor(settings: ShimSettings, args: readonly string[], ends: Ends, stderr: HostStderr) {
    this.#settings = settings;
    this.#args = args;
    this.#ends = ends;
    this.#stderr = stderr;
  }

  /** The exit code, when all has ended. Never rejects. */
  async run(again?: string): Promise<number> {
    try {
      checkSettings(this.#settings, again);
      const { cookie, forwardEnv = [], carry: mode = "auto", hostNetwork = "unix" } = this.#settings;
      const contract = readContract(process.env, findCookie(process.env, cookie), forwardEnv);
      this.#onBox = this.#box();
      const connecting = this.#onBox.connect(this.#ends.signal);
      // Prepared on the way, since a way is long.
      const [carry] = await Promise.all([chooseCarry(mode, contract, hostNetwork), connecting]);
      const started = await this.#start(this.#onBox, carry);
      const open = await this.#handOver(started, carry);
      const exit = await this.#untilEnd(started);
      this.#leftOpen = open;
      return exitCodeOf(exit);
    } catch (failure) {
      return this.#fail(failure);
    }
  }

  /** Resolves when the host has been handed all that the plugin sent, or will not be in time. */
  async settled(): Promise<void> {
    const limits = { signal: this.#ends.signal, timeoutMs: LAST_BYTES_MS };
    await within(limits, async () => this.#leftOpen?.settled()).catch(() => {});
  }

  #box(): OnBox {
    const settings = { ...this.#settings, command: [...this.#settings.command, ...this.#args] };
    return new OnBox({
      settings,
      timeoutMs: settings.startTimeoutMs ?? START_TIMEOUT_MS,
      onRunner: (runner) => this.#stderr.carry(runner.stderr),
      onNotice: (text) => this.#stderr.log("warn", text),
    });
  }

  async #start(onBox: OnBox, { variables }: Carry): Promise<StartedOnBox> {
    const started = await onBox.start(variables, this.#ends.signal);
    this.#stderr.log("debug", "the plugin runs on the box", {
      plugin: started.runner.id,
      variables: Object.keys(variables),
      ms: Math.round(performance.now()),
      ...started.phases,
    });
    return started;
  }

  /** Opens the way for the host and tells it where, in the one line that it waits for. */
  async #handOver({ runner, handshake }: StartedOnBox, carry: Carry): Promise<OpenCarry> {
    const { log } = this.#stderr;
    const open = await carry.open({ runner, handshake, log }, this.#ends.signal);
    const { address, certificate } = open;
    log("debug", "the host's connections are carried to the plugin", {
      carry: carry.name,
      protocol: handshake.protocol,
      host_address: formatAddress(address),
      plugin_address: formatAddress(handshake.address),
    });
    process.stdout.write(`${handshake.rewritten(address, certificate)}\n`);
    return open;
  }

  #untilEnd({ runner }: StartedOnBox): Promise<ExitStatus> {
    return within({ signal: this.#ends.signal }, () => runner.wait());
  }

  /** Tidies up, says why, and gives the exit code: the plugin's own where it ended by itself. */
  async #fail(failure: unknown): Promise<number> {
    const own = await this.#onBox?.ownEnd();
    // Which phase was slow is told at once: the end may take so long that the host gives up before it.
    const isTold = failure instanceof PluginError && failure.code === "timeout" && !this.#ends.signal.aborted;
    if (isTold) this.#stderr.log("error", ...told(failure));
    await within({ timeoutMs: END_MS }, async () => this.#onBox?.end()).catch(() => {});
    await this.#stderr.finish(LAST_WORDS_MS);
    const wasAsked = this.#ends.signal.aborted;
    if (!isTold) this.#stderr.log(wasAsked ? "info" : "error", ...told(failure));
    if (wasAsked) return this.#ends.exitCode();
    if (own) return exitCodeOf(own);
    return (failure instanceof PluginError ? EXIT_CODES[failure.code] : undefined) ?? 1;
  }
}

/** Whether the plugin shall outlive its host, as a local one does: under hosts that come back to their plugins. */
function staysAfterHost({ whenHostDies, cookie }: ShimSettings): boolean {
  if (whenHostDies !== undefined) return whenHostDies === "stay";
  const name = nameOfCookie(cookie);
  return name !== undefined && (hostOfCookie(name)?.reattaches ?? false);
}

function nameOfCookie(given: string | undefined): string | undefined {
  try {
    return findCookie(process.env, given).name;
  } catch {
    // Told to the user later, by whoever needs it.
    return undefined;
  }
}
