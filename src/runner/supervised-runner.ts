import { type Duplex, PassThrough } from "node:stream";
import createDebug from "debug";
import type { Address } from "../contract/address.ts";
import { PluginError } from "../contract/errors.ts";
import type { ExitStatus, PluginProcess, Runner } from "../contract/runner.ts";
import { checkSecureConfig, type SecureConfig } from "../contract/secure-config.ts";
import { variablesToScrub } from "../exec/environment.ts";
import { describeExit } from "../exec/exit-status.ts";
import { runProgram } from "../exec/run-program.ts";
import { SupervisedProcess } from "../exec/supervised-process.ts";
import { within } from "../lifetime/deadline.ts";
import { despiteLoss } from "../lifetime/despite-loss.ts";
import { later } from "../lifetime/later.ts";
import { Lifetime } from "../lifetime/lifetime.ts";
import type { Box, Translator } from "./box.ts";
import { diagnosisText, type Facts, notes, whyNotStarted } from "./diagnosis.ts";
import type { ResolvedPluginOptions } from "./plugin-options.ts";
import { pluginProcess } from "./plugin-process.ts";

const debug = createDebug("go-plugin-ssh:runner");

/** Looking at the box is a courtesy to whoever reads the error; it must not keep them waiting. */
const INSPECT_MS = 5_000;
/** Where the look decides what the error is, it gets more time. */
const DECIDING_MS = 15_000;
/** How long a host that reads slowly may take to get what the plugin sent it last. */
const SETTLE_MS = 1_000;
/** What a shell answers for a program that it could not execute; 2 is a binary that it took for a script. */
const NOT_EXECUTED = new Set([2, 126, 127]);

/** A {@link Runner} for any {@link Box}: the whole story of one plugin on it. */
export class SupervisedRunner implements Runner {
  readonly stdout = new PassThrough();
  readonly stderr = new PassThrough();
  readonly #options: ResolvedPluginOptions;
  readonly #openBox: (signal: AbortSignal) => Promise<Box>;
  readonly #lifetime = new Lifetime();
  readonly #killed = new AbortController();
  readonly #ended = later<ExitStatus>();
  #secureConfig: SecureConfig | undefined;
  #box: Box | undefined;
  #process: SupervisedProcess | undefined;
  #translator: Translator | undefined;
  #starting: Promise<void> | undefined;
  #killing: Promise<void> | undefined;
  #facts: Facts | undefined;
  #exit: ExitStatus | undefined;
  /** Why nobody can know how it ended, or that it did not start after all. */
  #failure: unknown;
  #id = "";

  constructor(options: ResolvedPluginOptions, openBox: (signal: AbortSignal) => Promise<Box>) {
    this.#options = options;
    this.#openBox = openBox;
    this.#secureConfig = options.secureConfig;
    // Nobody has to listen to these for the process to live.
    this.stdout.on("error", () => {});
    this.stderr.on("error", () => {});
  }

  get id(): string {
    return this.#id;
  }

  get process(): PluginProcess | undefined {
    const report = this.#process?.report;
    return report && this.#box && pluginProcess(report, this.#box);
  }

  get name(): string {
    return this.#options.command[0] ?? "";
  }

  requireChecksum(secureConfig: SecureConfig): void {
    if (this.#starting || this.#killing) {
      throw new PluginError("closed", "It is too late to ask for a checksum.", { hint: "Ask before `start`." });
    }
    const asked = checkSecureConfig(secureConfig);
    const before = this.#secureConfig;
    if (before && (before.hash !== asked.hash || Buffer.compare(before.checksum, asked.checksum) !== 0)) {
      throw new PluginError("bad-options", "The runner was told to expect another checksum.");
    }
    this.#secureConfig = asked;
  }

  async start(signal?: AbortSignal): Promise<void> {
    if (this.#killing) throw new PluginError("closed", "The plugin was killed before it was started.");
    if (this.#starting)
      throw new PluginError("closed", "A runner starts one plugin, once.", { hint: "Make a new runner." });
    this.#starting = within({ signal, until: [this.#killed.signal] }, (over) => this.#start(over));
    try {
      await this.#starting;
    } catch (failure) {
      this.#ended.reject(failure);
      this.#endStreams();
      // What the start left behind ends by itself or with `kill`; whoever waits for the start need not wait for it.
      this.#tidy().catch((other) => debug("after a failed start: %s", other.message));
      throw failure;
    }
  }

  async #start(over: AbortSignal): Promise<void> {
    const box = await this.#lifetime.own(await this.#openBox(over), (opened) => opened.close());
    this.#box = box;
    const heartbeatIntervalMs = this.#options.leaseMs > 0 ? this.#options.heartbeatIntervalMs : 0;
    const start = { care: this.#options, heartbeatIntervalMs };
    const process = new SupervisedProcess({
      spec: { ...this.#options, secureConfig: this.#secureConfig, scrub: variablesToScrub(this.#options.environment) },
      exec: box.exec,
      lost: box.lost,
      stdout: this.stdout,
      stderr: this.stderr,
      heartbeatIntervalMs,
      spare: () => box.spares?.take(start),
    });
    this.#process = process;
    try {
      const report = await process.start({ signal: over, timeoutMs: this.#options.startTimeoutMs });
      this.#translator = await this.#lifetime.own(box.translator(report), (translator) => translator.close());
      this.#id = `${box.name}#${report.pid}`;
      this.#follow(process);
      box.spares?.refill(start);
    } catch (failure) {
      if (!(failure instanceof PluginError) || failure.code !== "plugin-not-started" || box.lost.aborted) throw failure;
      throw await this.#withFacts(failure, over);
    }
  }

  /** Latches the end, and lets go of everything when it comes. */
  #follow(process: SupervisedProcess): void {
    process.exited
      .then(async (exit) => {
        this.#exit = exit;
        await this.#postMortem(exit, process);
        this.#ended.resolve(exit);
      })
      .catch((failure) => {
        this.#failure = failure;
        this.#ended.reject(failure);
      })
      .then(() => this.#allPassedOn(process))
      .then(() => this.#settled())
      .then(() => this.#tidy())
      .catch((failure) => debug("%s: %s", this.#id, failure.message));
  }

  /** What the plugin wrote last may be on its way to a slow reader, and needs the connection until then. */
  async #allPassedOn(process: SupervisedProcess): Promise<void> {
    const until = [this.#killed.signal, ...(this.#box ? [this.#box.lost] : [])];
    await within({ until }, () => process.passedOn()).catch(() => {});
  }

  /** So may what it sent on its connections, which end by themselves when that has been read. */
  async #settled(): Promise<void> {
    const until = [this.#killed.signal, ...(this.#box ? [this.#box.lost] : [])];
    await within({ until, timeoutMs: SETTLE_MS }, async () => this.#translator?.settled()).catch(() => {});
  }

  /** A program that ended without a word may never have run: then its end is that it did not start. */
  async #postMortem(exit: ExitStatus, process: SupervisedProcess): Promise<void> {
    if (process.said("stdout") !== "" || this.#killing) return;
    const mayDecide = exit.code !== null && NOT_EXECUTED.has(exit.code);
    this.#facts = await this.#inspect(this.#killed.signal, mayDecide ? DECIDING_MS : INSPECT_MS);
    const why = mayDecide ? whyNotStarted(this.#facts) : undefined;
    if (!why) return;
    const stderr = process.said("stderr").trimEnd();
    throw new PluginError(
      "plugin-not-started",
      [
        `${JSON.stringify(this.name)} was not started: ${why.what}. It ended with ${describeExit(exit)}.`,
        ...notes(this.#facts),
        ...(stderr === "" ? [] : ["The box's shell said:", stderr.replace(/^/gm, "  ")]),
      ].join("\n"),
      { hint: why.hint },
    );
  }

  async wait(signal?: AbortSignal): Promise<ExitStatus> {
    return within({ signal }, () => this.#ended.promise);
  }

  kill(signal?: AbortSignal): Promise<void> {
    this.#killing ??= this.#kill();
    this.#killing.catch(() => {});
    const killing = this.#killing;
    return within({ signal }, () => killing);
  }

  async #kill(): Promise<void> {
    const reason = new PluginError("closed", "The plugin was killed.");
    this.#killed.abort(reason);
    await this.#starting?.catch(() => {});
    await this.#tidy();
    this.#ended.reject(reason);
    this.#endStreams();
  }

  /** `kill`, for `await using`. A lost connection is no failure here: those who waited were told. */
  [Symbol.asyncDispose](): Promise<void> {
    return despiteLoss(this.kill());
  }

  async diagnose(signal?: AbortSignal): Promise<string> {
    const facts = this.#facts ?? (await this.#inspect(signal));
    // A look that was given up, or came too early, is not the last word.
    if (Object.keys(facts).length > 0) this.#facts = facts;
    const exit = this.#exit ? describeExit(this.#exit) : "";
    return diagnosisText(facts, exit, this.#process?.said("stderr") ?? "", this.#translator?.notes() ?? []);
  }

  async pluginToHost(pluginAddress: Address, signal?: AbortSignal): Promise<Address> {
    return this.#running().pluginToHost(pluginAddress, signal);
  }

  async hostToPlugin(hostAddress: Address, signal?: AbortSignal): Promise<Address> {
    return this.#running().hostToPlugin(hostAddress, signal);
  }

  async openStream(pluginAddress: Address, signal?: AbortSignal): Promise<Duplex> {
    return this.#running().openStream(pluginAddress, signal);
  }

  #running(): Translator {
    if (this.#failure) throw this.#failure;
    if (this.#killing) throw new PluginError("closed", "The plugin was killed.");
    if (this.#exit) throw new PluginError("plugin-exited", `The plugin has ended with ${describeExit(this.#exit)}.`);
    if (this.#box?.lost.aborted) throw this.#box.lost.reason;
    if (this.#translator) return this.#translator;
    throw new PluginError("closed", "The plugin is not running.", { hint: "Start it first." });
  }

  /** Ends the plugin, then everything that was made for it. The first failure counts, after all was tried. */
  async #tidy(): Promise<void> {
    try {
      await this.#process?.stop();
    } finally {
      await this.#lifetime.close();
    }
  }

  #endStreams(): void {
    this.#process?.cutOutput();
    this.stdout.end();
    this.stderr.end();
  }

  async #inspect(signal?: AbortSignal, timeoutMs = INSPECT_MS): Promise<Facts> {
    const box = this.#box;
    if (!box || box.lost.aborted) return {};
    const variables = { gps_command: this.name, gps_cd: this.#options.directory ?? "" };
    return runProgram(box.exec, "inspect.sh", variables, { signal, timeoutMs }).catch((failure) => {
      debug("%s: could not look at the box: %s", this.#id, failure.message);
      return {};
    });
  }

  async #withFacts(failure: PluginError, over: AbortSignal): Promise<PluginError> {
    this.#facts = await this.#inspect(over);
    const known = notes(this.#facts);
    if (known.length === 0) return failure;
    const what = failure.message.slice(
      `[${failure.code}] `.length,
      failure.hint ? -failure.hint.length - 1 : undefined,
    );
    return new PluginError(failure.code, [what, ...known].join("\n"), { hint: failure.hint, cause: failure.cause });
  }
}
