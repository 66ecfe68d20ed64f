import { PluginError } from "../contract/errors.ts";
import { readHandshakeLine } from "../handshake/read-handshake.ts";
import { type Connection, connect, type ExitStatus, type Runner, SshRunner } from "../index.ts";
import { within } from "../lifetime/deadline.ts";
import { HandshakeFields } from "./handshake-fields.ts";
import type { ShimSettings } from "./settings.ts";

/** A plugin to be started on a box for a host on this side. */
export interface BoxPlugin {
  settings: ShimSettings;
  /** What the plugin is told. */
  variables: Readonly<Record<string, string>>;
  /** Gets the runner as soon as there is one, to read its stderr. */
  onRunner: (runner: Runner) => void;
  /** Told what is done next, for people who wait. */
  onPhase?: (phase: string) => void;
  /** Told what is not done as the OpenSSH configuration says. */
  onNotice: (text: string) => void;
  timeoutMs: number;
}

/** A plugin that has said where it listens. */
export interface StartedOnBox {
  readonly runner: Runner;
  readonly handshake: HandshakeFields;
  /** Milliseconds that each phase took. */
  readonly phases: Readonly<Record<string, number>>;
}

/** A connection and a plugin behind it, from the first packet to the end of both. */
export class OnBox {
  readonly #plugin: BoxPlugin;
  readonly #phases: [name: string, since: number][] = [];
  #connection: Connection | undefined;
  #runner: Runner | undefined;

  constructor(plugin: BoxPlugin) {
    this.#plugin = plugin;
  }

  /**
   * Connects, starts the plugin and waits for its handshake line.
   *
   * @throws {PluginError} as `connect` and `Runner.start`; `timeout`, with the phase that was slow; `handshake-failed`
   */
  start(signal: AbortSignal): Promise<StartedOnBox> {
    const { timeoutMs } = this.#plugin;
    return within({ signal, timeoutMs, onTimeout: () => this.#tooSlow() }, (over) => this.#start(over));
  }

  async #start(over: AbortSignal): Promise<StartedOnBox> {
    const { settings, variables, onRunner, onNotice } = this.#plugin;
    this.#enter(`connecting to ${place(settings.destination)}`);
    const connection = await connect(settings.destination, { onNotice, ...settings.connect }, over);
    if (over.aborted) {
      await connection.close();
      throw over.reason;
    }
    this.#connection = connection;
    this.#enter("starting the plugin on the box");
    const runner = new SshRunner({
      connection,
      command: settings.command as [string, ...string[]],
      ...(settings.directory !== undefined && { directory: settings.directory }),
      environment: variables,
      hostNetwork: settings.hostNetwork ?? "unix",
      relay: settings.relay ?? "auto",
      startTimeoutMs: 0,
    });
    this.#runner = runner;
    onRunner(runner);
    await runner.start(over);
    this.#enter("waiting for the plugin's handshake line");
    const line = await readHandshakeLine({
      stdout: runner.stdout,
      exited: runner.wait(over),
      timeoutMs: 0,
      signal: over,
      diagnose: (signal) => runner.diagnose(signal),
    });
    const handshake = new HandshakeFields(line);
    return { runner, handshake, phases: this.#durations() };
  }

  /** How the plugin ended by itself, if it has. */
  async ownEnd(): Promise<ExitStatus | undefined> {
    const runner = this.#runner;
    if (!runner || this.#connection?.lost.aborted) return undefined;
    return within({ timeoutMs: 1 }, () => runner.wait()).catch(() => undefined);
  }

  /** Ends the plugin and the connection, whatever state they are in. Never rejects. */
  async end(): Promise<void> {
    await this.#runner?.kill().catch(() => {});
    await this.#connection?.close();
  }

  #enter(phase: string): void {
    this.#phases.push([phase, performance.now()]);
    this.#plugin.onPhase?.(phase);
  }

  #durations(): Record<string, number> {
    const ends = [...this.#phases.slice(1).map(([, since]) => since), performance.now()];
    return Object.fromEntries(this.#phases.map(([name, since], at) => [name, Math.round((ends[at] ?? since) - since)]));
  }

  #tooSlow(): PluginError {
    const took = Object.entries(this.#durations()).map(([phase, ms]) => `${phase}: ${ms} ms`);
    const [slow] = this.#phases.at(-1) ?? ["starting"];
    return new PluginError(
      "timeout",
      `There was no handshake line within ${this.#plugin.timeoutMs} ms; the time ran out while ${slow} (${took.join(", ")}).`,
      { hint: "`--start-timeout` allows more, but most hosts wait no longer than 60 s." },
    );
  }
}

/** A destination without a word that could be a secret. */
function place(destination: ShimSettings["destination"]): string {
  if (typeof destination === "string") return destination;
  const { host, user, port } = destination;
  return `${user === undefined ? "" : `${user}@`}${host}${port === undefined ? "" : `:${port}`}`;
}
