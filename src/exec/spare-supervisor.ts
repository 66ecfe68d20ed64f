import createDebug from "debug";
import type { ExecChannel } from "../contract/connection.ts";
import { within } from "../lifetime/deadline.ts";
import { type Care, type Waiting, wait } from "./launch.ts";
import { EXEC_REQUEST } from "./loader.ts";
import type { Exec } from "./run-program.ts";

const debug = createDebug("go-plugin-ssh:exec");

/** How long a supervisor that is not wanted may take to end before its channel is closed. */
const END_MS = 3_000;

/** What a spare supervisor is made with. */
export interface SpareSupervisorOptions {
  exec: Exec;
  /** How it will look after its plugin. */
  care: Care;
  /** How often it hears that the host lives, in milliseconds; 0: never. */
  heartbeatIntervalMs: number;
}

/**
 * A supervisor on the box that waits for its plugin, so that a start costs one message. It takes one of the connection's
 * sessions, and ends with the connection, with its lease, or when it is closed.
 */
export class SpareSupervisor {
  readonly channel: ExecChannel;
  /** Completes the text that it was made with. */
  readonly launch: Waiting["launch"];
  readonly #heartbeats: ReturnType<typeof setInterval> | undefined;
  #isOver = false;

  /**
   * Has one made. When it resolves, its session is there; the supervisor itself may still be under way, for nothing has
   * to wait for it.
   *
   * @throws {PluginError} what `exec` threw, for example because the server gives no more sessions
   */
  static async open({ exec, care, heartbeatIntervalMs }: SpareSupervisorOptions, signal?: AbortSignal) {
    const channel = await exec(EXEC_REQUEST, signal);
    return new SpareSupervisor(channel, wait(care), heartbeatIntervalMs);
  }

  private constructor(channel: ExecChannel, { text, launch }: Waiting, heartbeatIntervalMs: number) {
    this.channel = channel;
    this.launch = launch;
    channel.stdin.on("error", (failure) => debug("a spare supervisor's stdin: %s", failure.message));
    channel.stdin.write(text);
    const beat = () => channel.stdin.writable && channel.stdin.write("heartbeat\n");
    this.#heartbeats = heartbeatIntervalMs > 0 ? setInterval(beat, heartbeatIntervalMs).unref() : undefined;
    void this.gone.then(() => this.#retire());
  }

  /** Resolves when it has ended. Never rejects. */
  get gone(): Promise<unknown> {
    return Promise.race([this.channel.exited, this.channel.closed]);
  }

  /** Whether it may be given a plugin. It may have gone without anybody knowing yet. */
  get isReady(): boolean {
    return !this.#isOver;
  }

  /** Hands it over to whoever starts a plugin, who looks after its channel from now on. */
  take(): void {
    this.#retire();
  }

  /** Ends it. When it resolves, its session is free for others, or the server was told so. Never rejects. */
  async close(): Promise<void> {
    this.#retire();
    const { channel } = this;
    channel.stdin.end();
    for (const output of [channel.stdout, channel.stderr]) output.on("error", () => {}).resume();
    await within({ timeoutMs: END_MS }, () => channel.closed).catch(() => channel.close());
  }

  #retire(): void {
    this.#isOver = true;
    clearInterval(this.#heartbeats);
  }
}
