import { Duplex, type Readable } from "node:stream";
import type { ExecChannel } from "../contract/connection.ts";
import { PluginError } from "../contract/errors.ts";
import type { ExitStatus } from "../contract/runner.ts";
import { within } from "../lifetime/deadline.ts";
import { describeExit } from "./exit-status.ts";
import { endChannel, type RunningRelay } from "./relay-program.ts";

/** An end without a single byte may be that of a relay that could not connect; its exit tells, and is not far behind. */
const EXIT_MS = 3_000;

/**
 * How much may be on its way before the writer is held up, as in the buffer of a socket: as much as a plugin's HTTP/2 lets
 * be sent at once. Node fails with an assertion when it resets an HTTP/2 stream during a write to anything but a socket,
 * so writes must not take long.
 */
const SEND_BUFFER = 16 * 1024 * 1024;

/**
 * A connection through a relay, as a stream: each direction ends by itself, and back-pressure passes through. It
 * breaks when the connection to the box does, or when the relay ends in the middle.
 */
export class RelayStream extends Duplex {
  readonly #channel: ExecChannel;
  readonly #output: Readable;
  #received = 0;
  /** What the relay has said of the end, which may come before the last bytes. */
  #told: { total: number; whole: boolean } | undefined;
  /** Nothing more is read. */
  #over = false;
  /** Nobody takes anymore what is written. */
  #deaf = false;
  #exit: ExitStatus | undefined;
  /** How many bytes were written that have not left yet. */
  #backlog = 0;
  /** Goes on with the write that waits. */
  #next: (() => void) | undefined;

  /**
   * @param relay one that is connected
   * @param lost aborts when the box cannot be reached any more
   */
  constructor({ channel, output, lastWord }: RunningRelay, lost: AbortSignal) {
    super({ allowHalfOpen: true });
    this.#channel = channel;
    this.#output = output;
    const onLost = () => this.destroy(lost.reason);
    lost.addEventListener("abort", onLost, { once: true });
    this.once("close", () => lost.removeEventListener("abort", onLost));
    output.on("data", (chunk: Buffer) => {
      if (this.#over) return;
      this.#received += chunk.length;
      if (!this.push(chunk)) output.pause();
      this.#endAsTold();
    });
    output.on("end", () => void this.#ended());
    void lastWord.then((word) => this.#tell(word));
    void channel.exited.then((status) => {
      this.#exit = status;
    });
    void channel.closed.then(() => this.#closed());
    if (lost.aborted) onLost();
  }

  override _read(): void {
    this.#output.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    const { stdin } = this.#channel;
    if (this.#deaf || !stdin.writable) {
      done();
      return;
    }
    this.#backlog += chunk.length;
    this.#next = done;
    stdin.write(chunk, () => {
      this.#backlog -= chunk.length;
      this.#goOn();
    });
    this.#goOn();
  }

  /** Takes the next write if there is room for it. */
  #goOn(): void {
    if (this.#backlog > SEND_BUFFER && !this.#deaf) return;
    const next = this.#next;
    this.#next = undefined;
    next?.();
  }

  /** A relay ends by itself when both directions have ended. Before that it may hold what was written. */
  override _final(done: () => void): void {
    this.#channel.stdin.end();
    void this.#channel.exited.then(() => done());
  }

  override _destroy(failure: Error | null, done: (failure: Error | null) => void): void {
    endChannel(this.#channel);
    this.#output.resume();
    done(failure);
  }

  /** Takes note of what the relay said last: `end 4711` or `broke 4711`. */
  #tell(word: string | undefined): void {
    const [, how, total] = /^(end|broke) (\d+)$/.exec(word ?? "") ?? [];
    if (how === undefined) return;
    this.#told = { total: Number(total), whole: how === "end" };
    this.#endAsTold();
  }

  /** Ends when all has come that the relay has told of: its server may say nothing of it while the relay runs. */
  #endAsTold(): void {
    if (this.#told && this.#received >= this.#told.total) this.#finish(this.#told.whole);
  }

  /** The server says that stdout has ended: the plugin has ended its side, or the relay has ended before its time. */
  async #ended(): Promise<void> {
    if (!this.#received) {
      const closed = new Promise((resolve) => this.once("close", resolve));
      const known = () => Promise.race([this.#channel.exited, closed]);
      await within({ timeoutMs: EXIT_MS }, known).catch(() => {});
    }
    this.#finish(!this.#exit || this.#exit.code === 0);
  }

  #finish(whole: boolean): void {
    if (this.#over || this.destroyed) return;
    this.#over = true;
    this.#output.resume();
    if (whole) this.push(null);
    else this.destroy(relayBroke(this.#exit));
  }

  /** The channel is over. What was received is still to be read; what is written now reaches nobody. */
  #closed(): void {
    this.#deaf = true;
    this.#goOn();
    if (this.destroyed) return;
    if (this.readableEnded) this.destroy();
    else this.once("end", () => this.destroy());
  }
}

function relayBroke(exit: ExitStatus | undefined): PluginError {
  const how = exit ? `: it ended with ${describeExit(exit)}` : "";
  return new PluginError("forward-failed", `The relay on the box broke${how}.`, {
    hint: "The plugin may have ended, or nobody listens there.",
  });
}
