import { PluginError } from "../contract/errors.ts";
import { readHandshakeLine } from "../handshake/read-handshake.ts";
import { type Connection, ConnectionPool, type ConnectOptions, type ExitStatus, SshRunner } from "../index.ts";
import { within } from "../lifetime/deadline.ts";
import { HandshakeFields } from "./handshake-fields.ts";
import type { ShimSettings } from "./settings.ts";

/** A plugin to be started on a box for a host on this side. */
export interface BoxPlugin {
  settings: ShimSettings;
  /** Gets the runner as soon as there is one, to read its stderr. */
  onRunner: (runner: SshRunner) => void;
  /** Told what is done next, for people who wait. */
  onPhase?: (phase: string) => void;
  /** Told what is not done as the OpenSSH configuration says. */
  onNotice: (text: string) => void;
  /** How the user answers questions; without it nobody is asked. The time that answers take does not count then. */
  prompts?: ConnectOptions;
  /** From the start to the handshake line. */
  timeoutMs: number;
}

/** A plugin that has said where it listens. */
export interface StartedOnBox {
  readonly runner: SshRunner;
  readonly handshake: HandshakeFields;
  /** Milliseconds that each phase took. */
  readonly phases: Readonly<Record<string, number>>;
}

/** A connection and a plugin behind it, from the first packet to the end of both. */
export class OnBox {
  readonly #plugin: BoxPlugin;
  readonly #phases: [name: string, since: number][] = [];
  #began = performance.now();
  #pool: ConnectionPool | undefined;
  #connection: Connection | undefined;
  #runner: SshRunner | undefined;

  constructor(plugin: BoxPlugin) {
    this.#plugin = plugin;
  }

  /**
   * Connects, again if the server drops us before its banner, as one does that has too many logins under way.
   *
   * @throws {PluginError} as `connect` of the library
   */
  async connect(signal: AbortSignal): Promise<void> {
    const { timeoutMs, prompts } = this.#plugin;
    const limits = { signal, timeoutMs: prompts ? 0 : timeoutMs, onTimeout: () => this.#tooSlow() };
    await within(limits, (over) => this.#connect(over));
    // What a person took to answer is theirs.
    if (prompts) this.#began = performance.now();
  }

  /**
   * Starts the plugin on the box, once we are connected, and waits for its handshake line.
   *
   * @param variables what the plugin is told
   * @throws {PluginError} as `Runner.start`; `timeout`, with the phase that was slow; `handshake-failed`
   */
  start(variables: Readonly<Record<string, string>>, signal: AbortSignal): Promise<StartedOnBox> {
    const timeoutMs = Math.max(1, this.#plugin.timeoutMs - (performance.now() - this.#began));
    return within({ signal, timeoutMs, onTimeout: () => this.#tooSlow() }, (over) => this.#start(variables, over));
  }

  async #connect(over: AbortSignal): Promise<void> {
    const { settings, onNotice, prompts } = this.#plugin;
    this.#enter(`connecting to ${place(settings.destination)}`);
    const asking: ConnectOptions = prompts ?? { batchMode: true };
    // Of the pool it has one share; it is the pool that tries again what a server has dropped.
    this.#pool = new ConnectionPool({ onNotice, ...asking, ...settings.connect });
    const { connection } = await this.#pool.lease(settings.destination, over);
    this.#connection = connection;
    if (over.aborted) await this.#pool.close();
  }

  async #start(variables: Readonly<Record<string, string>>, over: AbortSignal): Promise<StartedOnBox> {
    const { settings, onRunner } = this.#plugin;
    const connection = this.#connection;
    if (!connection) throw new PluginError("closed", "There is no connection.");
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
    await this.#pool?.close();
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
