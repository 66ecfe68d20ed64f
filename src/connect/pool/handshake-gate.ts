import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import createDebug from "debug";
import PQueue from "p-queue";
import { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";

const debug = createDebug("go-plugin-ssh:pool");

/** sshd begins to drop connections at ten that have not logged in (MaxStartups 10:30:100). */
const AT_ONCE = 5;
/** How often the server may drop us in a row, those that are under way together counted once: penalties grow with each. */
const IN_A_ROW = 5;
/** The first pause after a drop; each further one in a row is twice as long. Half of each is left to chance. */
const FIRST_PAUSE_MS = 300;
/** How often one connection is tried while others get through, which happens where drops are left to chance. */
const TRIES = 12;
/** No try begins later than this after the first one. */
const TRY_FOR_MS = 30_000;
/** Who was dropped goes before those of the same priority who have not tried yet. */
const AGAIN = 0.5;
/** After so many logins in a row without a drop, one more is made at a time. */
const CALM = 20;

/** What a gate has seen. */
export interface GateTotals {
  /** How often the server dropped a connection before its banner. */
  dropped: number;
  /** How often one was tried again after that. */
  retried: number;
}

/** How somebody goes through a gate. */
export interface GateOptions {
  signal: AbortSignal;
  /** Who has more goes first. */
  priority: number;
}

/**
 * Lets only so many logins to one server be under way at a time, because a server drops connections when too many have
 * not logged in yet. A drop teaches to make fewer at a time, half of them, and to wait before the next. When the server
 * has dropped us again and again and let nobody in, all who wait are told, and nobody tries for them.
 */
export class HandshakeGate {
  readonly #queue = new PQueue({ concurrency: AT_ONCE });
  readonly totals: GateTotals = { dropped: 0, retried: 0 };
  #shut = newController();
  #quietUntil = 0;
  #firstDrop = 0;
  #lastDrop = 0;
  #inARow = 0;
  #calm = 0;

  /** How many logins may be under way at a time now. */
  get atOnce(): number {
    return this.#queue.concurrency;
  }

  /** How many are under way. */
  get underWay(): number {
    return this.#queue.pending;
  }

  /** How many wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Connects when it is its turn, and again when the server drops it.
   *
   * @throws {PluginError} `box-refused` when it was tried often enough, else what `connect` threw, or `aborted`
   */
  pass<T>(
    connect: (signal: AbortSignal) => Promise<T>,
    { signal, priority }: GateOptions,
    late: (result: T) => unknown,
  ): Promise<T> {
    const limits = { signal, until: [this.#shut.signal] };
    return within(limits, (over) => this.#try(connect, over, priority), late);
  }

  async #try<T>(connect: (signal: AbortSignal) => Promise<T>, over: AbortSignal, priority: number): Promise<T> {
    // Since its first turn: the queue may be long.
    let began: number | undefined;
    for (let tries = 1; ; tries += 1) {
      const once = () => {
        began ??= performance.now();
        return this.#once(connect, over, tries > 1);
      };
      try {
        // The queue gets no signal: it would race with a connection that was just made, and drop it.
        return await this.#queue.add(once, { priority: tries === 1 ? priority : priority + AGAIN });
      } catch (failure) {
        if (!isDrop(failure) || over.aborted) throw failure;
        const isClosed = this.#inARow >= IN_A_ROW || isPenalty(failure);
        if (isClosed) throw this.#close(failure);
        const ms = performance.now() - (began ?? 0);
        if (tries >= TRIES || ms > TRY_FOR_MS) throw withCount(failure, tries, ms);
      }
    }
  }

  /** One try. What it teaches is known before the next one begins. */
  async #once<T>(connect: (signal: AbortSignal) => Promise<T>, over: AbortSignal, isAgain: boolean): Promise<T> {
    throwIfAborted(over);
    for (let wait = this.#pause(); wait > 0; wait = this.#pause()) await delay(wait, undefined, { signal: over });
    const began = performance.now();
    if (isAgain) this.totals.retried += 1;
    try {
      const made = await connect(over);
      this.#loggedIn();
      return made;
    } catch (failure) {
      if (isDrop(failure)) this.#dropped(began);
      throw failure;
    }
  }

  /** How long nobody shall knock. Those who wait do not come all at once after it. */
  #pause(): number {
    const left = this.#quietUntil - performance.now();
    return left > 0 ? left + Math.random() * FIRST_PAUSE_MS : 0;
  }

  #loggedIn(): void {
    this.#inARow = 0;
    this.#calm += 1;
    if (this.#calm < CALM || this.#queue.concurrency === AT_ONCE) return;
    this.#calm = 0;
    this.#queue.concurrency += 1;
  }

  #dropped(began: number): void {
    const now = performance.now();
    this.totals.dropped += 1;
    this.#calm = 0;
    // Those that were under way together are one lesson.
    if (began < this.#lastDrop) return;
    this.#lastDrop = now;
    if (this.#inARow === 0) this.#firstDrop = now;
    this.#queue.concurrency = Math.max(1, Math.floor(this.#queue.concurrency / 2));
    const pause = FIRST_PAUSE_MS * 2 ** this.#inARow * (0.5 + Math.random() / 2);
    this.#inARow += 1;
    this.#quietUntil = now + pause;
    debug("dropped before the banner: %d at a time, %d ms of quiet", this.#queue.concurrency, Math.round(pause));
  }

  /** The server lets nobody in: all who wait are told, for more tries would only make a penalty longer. */
  #close(failure: PluginError): PluginError {
    const refused = withCount(failure, this.#inARow, performance.now() - this.#firstDrop);
    const shut = this.#shut;
    this.#shut = newController();
    this.#inARow = 0;
    shut.abort(refused);
    return refused;
  }
}

/** The same refusal, and how often it came. */
function withCount({ code, message, hint, cause }: PluginError, times: number, ms: number): PluginError {
  const what = message.slice(`[${code}] `.length, hint === "" ? undefined : -hint.length - 1);
  const often = times > 1 ? ` It did so ${times} times in ${(ms / 1000).toFixed(1)} s.` : "";
  return new PluginError(code, what + often, { hint, cause });
}

/** One listener for each who waits is no leak. */
function newController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

function isDrop(failure: unknown): failure is PluginError {
  return failure instanceof PluginError && failure.code === "box-refused";
}

/** What OpenSSH 9.8 and later says to an address that it penalises (PerSourcePenalties). */
function isPenalty({ message }: PluginError): boolean {
  return message.includes("Not allowed at this time");
}
