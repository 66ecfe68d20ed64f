import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PluginError } from "../../contract/errors.ts";
import { later } from "../../lifetime/later.ts";
import { makePrivateDirectory, removePrivateDirectory } from "../../lifetime/private-directory.ts";
import type { AskPerson } from "../ask-person.ts";
import { PausableTimer } from "../pausable-timer.ts";
import type { Settings } from "../settings.ts";
import { connectTimeout } from "../ssh2-errors.ts";
import type { Errand } from "../way/errand.ts";
import { ControlClient } from "./control-client.ts";
import { ASK } from "./control-protocol.ts";
import { MuxProxy } from "./mux-proxy.ts";
import type { Master } from "./openssh-connection.ts";
import { Prompts } from "./prompts.ts";
import { mayAsk, sshArguments } from "./ssh-arguments.ts";
import { lostError, startError } from "./ssh-errors.ts";
import { SshLog } from "./ssh-log.ts";
import type { SystemSsh } from "./system-ssh.ts";

const CONNECT_TIMEOUT_MS = 30_000;
/** How long a polite goodbye may take. */
const GOODBYE_MS = 1_000;

const PROGRAM = fileURLToPath(new URL("./master.sh", import.meta.url));
const ASKPASS = fileURLToPath(new URL("./askpass.sh", import.meta.url));

/**
 * Starts an `ssh` of our own, which logs in and waits for our channels. It ends with us, however we end.
 *
 * @throws {PluginError} why it could not log in; nothing is left then
 */
export async function startOwnMaster(
  settings: Settings,
  ssh: SystemSsh,
  over: AbortSignal,
  errand?: Errand,
): Promise<Master> {
  const directory = await makePrivateDirectory();
  const master = new OwnMaster(settings, directory, errand);
  try {
    return await master.start(ssh, over);
  } catch (failure) {
    await master.close();
    throw failure;
  }
}

class OwnMaster {
  readonly #settings: Settings;
  readonly #errand: Errand | undefined;
  readonly #directory: string;
  readonly #outcome = later<void>();
  readonly #timer: PausableTimer;
  readonly #prompts: Prompts;
  #child: ChildProcess | undefined;
  #ended: Promise<void> = Promise.resolve();
  #log: SshLog | undefined;
  #proxy: MuxProxy | undefined;
  #control: ControlClient | undefined;
  #over = new AbortController().signal;

  constructor(settings: Settings, directory: string, errand: Errand | undefined) {
    const { connectTimeoutMs = CONNECT_TIMEOUT_MS } = settings.options;
    this.#settings = settings;
    this.#errand = errand;
    this.#directory = directory;
    const ask: AskPerson = (question) => {
      const paused = () => this.#timer.pausedDuring(() => question(this.#over));
      return errand ? errand.pausedDuring(paused) : paused();
    };
    this.#prompts = new Prompts(settings, ask, () => this.#outcome.reject(this.#askError()));
    this.#timer = new PausableTimer(connectTimeoutMs, () => {
      const { target } = settings;
      const last = { phase: this.#log?.phase ?? "dialling", target } as const;
      this.#outcome.reject(connectTimeout(connectTimeoutMs, last, target));
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
      this.#spawn(sshArguments(this.#settings, ssh), asks ? askpassEnvironment(this.#path("a")) : {});
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
    await removePrivateDirectory(this.#directory);
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
      this.#errand?.entered({ phase, target: this.#settings.target });
      if (phase === "ready") this.#outcome.resolve();
    });
    this.#log = log;
    this.#ended = new Promise((resolve) => {
      const end = (cause: unknown) => {
        this.#outcome.reject(
          this.#prompts.failure === undefined ? startError(log, this.#settings, cause) : this.#askError(),
        );
        resolve();
      };
      child.once("error", end);
      // Not at `exit`: what it said last may still be on its way.
      child.once("close", () => end(undefined));
    });
  }

  async #join(): Promise<Master> {
    const path = this.#path("m");
    const failed = (cause: unknown) => startError(this.#log as SshLog, this.#settings, cause);
    const proxy = await MuxProxy.open(path).catch((cause) => Promise.reject(failed(cause)));
    const control = new ControlClient(path);
    this.#proxy = proxy;
    this.#control = control;
    return {
      proxy,
      control,
      directory: this.#directory,
      why: async () => {
        await Promise.race([this.#ended, new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref())]);
        return lostError(this.#log, this.#settings);
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

/** Lets `ssh` ask us, and nobody else. */
function askpassEnvironment(path: string): Record<string, string> {
  try {
    accessSync(ASKPASS, constants.X_OK);
  } catch (cause) {
    throw new PluginError("unsupported", `\`ssh\` cannot ask anything, because ${ASKPASS} may not be executed.`, {
      hint: "Make it executable, or leave the callbacks out.",
      cause,
    });
  }
  return {
    SSH_ASKPASS: ASKPASS,
    SSH_ASKPASS_REQUIRE: "force",
    DISPLAY: process.env.DISPLAY ?? ":0",
    GO_PLUGIN_SSH_PROMPTS: path,
    GO_PLUGIN_SSH_NODE: process.execPath,
  };
}

/** Ends the program and the `ssh` that it holds, whatever they are at. */
function killGroup(child: ChildProcess): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  } catch {
    // They are gone.
  }
}
