import { type ChildProcess, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PluginError } from "../../contract/errors.ts";
import { later } from "../../lifetime/later.ts";
import { makePrivateDirectory, removePrivateDirectory } from "../../lifetime/private-directory.ts";
import type { AskPerson } from "../ask-person.ts";
import { CONNECT_TIMEOUT_MS } from "../default-patience.ts";
import { PausableTimer } from "../pausable-timer.ts";
import type { Settings } from "../settings.ts";
import { connectTimeout, type Step } from "../ssh2-errors.ts";
import type { Errand, OpenHop } from "../way/errand.ts";
import { onErrand } from "../way/on-errand.ts";
import { askpassEnvironment } from "./askpass-environment.ts";
import { ControlClient } from "./control-client.ts";
import { ASK } from "./control-protocol.ts";
import { MuxProxy } from "./mux-proxy.ts";
import type { Master } from "./openssh-connection.ts";
import { Prompts } from "./prompts.ts";
import { isServed, type ServedWay, serveWay } from "./served-way.ts";
import { mayAsk, sshArguments } from "./ssh-arguments.ts";
import { lostError, startError } from "./ssh-errors.ts";
import { SshLog } from "./ssh-log.ts";
import type { SystemSsh } from "./system-ssh.ts";

/** A master that is logged in answers at once. */
const ANSWER_MS = 10_000;
/** How long the last words may take once it has ended. */
const LAST_WORDS_MS = 500;
/** How long a polite goodbye may take. */
const GOODBYE_MS = 1_000;

const PROGRAM = fileURLToPath(new URL("./master.sh", import.meta.url));

/**
 * Starts an `ssh` of our own, which logs in and waits for our channels. It ends with us, however we end.
 *
 * @throws {PluginError} why it could not log in; nothing is left then
 */
export async function startOwnMaster(
  settings: Settings,
  ssh: SystemSsh,
  openHop: OpenHop,
  over: AbortSignal,
  errand?: Errand,
): Promise<Master> {
  const directory = await makePrivateDirectory();
  const master = new OwnMaster(settings, openHop, directory, errand);
  try {
    return await master.start(ssh, over);
  } catch (failure) {
    await master.close();
    throw failure;
  }
}

class OwnMaster {
  readonly #settings: Settings;
  readonly #openHop: OpenHop;
  readonly #errand: Errand | undefined;
  readonly #directory: string;
  readonly #outcome = later<void>();
  readonly #timer: PausableTimer;
  readonly #prompts: Prompts;
  /** Where the whole stands, which may be at a jump host. */
  #last: Step;
  #way: ServedWay | undefined;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #log: SshLog | undefined;
  #proxy: MuxProxy | undefined;
  #control: ControlClient | undefined;
  #over = new AbortController().signal;

  constructor(settings: Settings, openHop: OpenHop, directory: string, errand: Errand | undefined) {
    const { target } = settings;
    const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = settings.options;
    this.#settings = settings;
    this.#openHop = openHop;
    this.#last = { phase: "dialling", target };
    this.#errand = errand;
    this.#directory = directory;
    const ask: AskPerson = (question) => this.#timer.pausedDuring(() => question(this.#over));
    this.#prompts = new Prompts(settings, ask, () => this.#outcome.reject(this.#askError()));
    this.#timer = new PausableTimer(connectTimeoutMs, () => {
      this.#outcome.reject(connectTimeout(connectTimeoutMs, this.#last, target));
    });
  }

  async start(ssh: SystemSsh, over: AbortSignal): Promise<Master> {
    this.#over = over;
    const giveUp = () => this.#outcome.reject(new PluginError("aborted", "The connecting was given up."));
    over.addEventListener("abort", giveUp, { once: true });
    if (over.aborted) giveUp();
    try {
      const asks = mayAsk(this.#settings.options);
      if (asks) await this.#prompts.listen(this.#path("a"));
      if (isServed(this.#settings)) this.#way = await this.#serveWay();
      const args = sshArguments(this.#settings, ssh, this.#way?.command);
      this.#spawn(args, asks ? askpassEnvironment(this.#path("a")) : {});
      await this.#outcome.promise;
      return await this.#join();
    } finally {
      this.#timer.stop();
      this.#prompts.close();
      over.removeEventListener("abort", giveUp);
    }
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child?.exitCode === null && child.signalCode === null) {
      child.ref();
      const kill = setTimeout(() => killGroup(child), GOODBYE_MS);
      void this.#control?.ask(ASK.terminate).catch(() => {});
      // Without a control socket, the end of its stdin is its end too.
      child.stdin?.end();
      await this.#ended;
      clearTimeout(kill);
    }
    this.#proxy?.destroy();
    this.#control?.destroy();
    await this.#way?.close();
    await removePrivateDirectory(this.#directory);
  }

  /** The way through jump hosts or a command. */
  #serveWay(): Promise<ServedWay> {
    const attempted = {
      target: this.#settings.target,
      errand: this.#errand,
      entered: (step: Step) => this.#at(step),
      timer: this.#timer,
      outcome: this.#outcome.promise,
    };
    const path = this.#path("w");
    return onErrand(attempted, (errand, over) => serveWay(this.#settings, this.#openHop, errand, path, over));
  }

  #at(step: Step): void {
    this.#last = step;
    this.#errand?.entered(step);
  }

  #spawn(args: string[], environment: Record<string, string>): void {
    const all = ["-M", "-N", "-S", this.#path("m"), "-o", "LogLevel=DEBUG1", ...args];
    // A session of its own: neither the terminal's Ctrl-C nor its questions are for it.
    const child = spawn("/bin/sh", [PROGRAM, "ssh", ...all], {
      stdio: ["pipe", "ignore", "pipe"],
      detached: true,
      env: { ...process.env, ...environment },
    });
    this.#child = child;
    child.stdin.on("error", () => {});
    const log = new SshLog(child.stderr, (phase) => {
      this.#at({ phase, target: this.#settings.target });
      if (phase === "ready") this.#outcome.resolve();
    });
    this.#log = log;
    this.#ended = new Promise((resolve) => {
      const end = (cause: unknown) => {
        const failure = startError(log, this.#settings, cause);
        this.#outcome.reject(this.#prompts.failure ? this.#askError() : (this.#way?.explain(failure) ?? failure));
        resolve();
      };
      child.once("error", end);
      // Not at `exit`: what it said last may still be on its way.
      child.once("close", () => end(undefined));
      // Somebody that it started may hold the other end for as long as he likes.
      child.once("exit", () => {
        const late = setTimeout(() => child.stderr.destroy(), LAST_WORDS_MS);
        child.once("close", () => clearTimeout(late));
      });
    });
  }

  async #join(): Promise<Master> {
    const path = this.#path("m");
    const limits = { signal: this.#over, timeoutMs: ANSWER_MS };
    const proxy = await MuxProxy.open(path, limits).catch((cause) => {
      throw this.#over.aborted ? cause : startError(this.#log as SshLog, this.#settings, cause);
    });
    const control = new ControlClient(path);
    this.#proxy = proxy;
    this.#control = control;
    return {
      proxy,
      control,
      directory: this.#directory,
      why: async () => {
        await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref())]);
        const failure = lostError(false, this.#log, this.#settings);
        return this.#way?.explain(failure) ?? failure;
      },
      hold: (keepAlive) => this.#hold(keepAlive),
      close: () => this.close(),
    };
  }

  #hold(keepAlive: boolean): void {
    const pipes = [this.#child?.stdin, this.#child?.stderr] as unknown as (Socket | null | undefined)[];
    for (const one of [this.#child, ...pipes]) {
      if (keepAlive) one?.ref();
      else one?.unref();
    }
    this.#proxy?.hold(keepAlive);
    this.#control?.hold(keepAlive);
    this.#way?.hold(keepAlive);
  }

  #askError(): PluginError {
    const cause = this.#prompts.failure;
    const { user, host } = this.#settings.target;
    return new PluginError(
      "auth-failed",
      `${host} did not let ${user} in. One of the callbacks threw; \`cause\` is what it threw.`,
      { cause },
    );
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

/** Ends the program and the `ssh` that it holds, whatever they are at. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // They are gone.
  }
}
