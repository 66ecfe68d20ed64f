import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import createDebug from "debug";
import PQueue from "p-queue";
import { PluginError } from "../../contract/errors.ts";
import { throwIfAborted, within } from "../../lifetime/deadline.ts";

const debug = createDebug("go-plugin-ssh:pool");

/** sshd begins to drop connections at ten that have not logged in (MaxStartups 10:30:100). */
const AT_ONCE = 5;
/** How often one connection is tried again that the server dropped before its banner. Penalties grow with each try. */
const TRIES_AGAIN = 4;
/** The first pause after a drop; each further one is twice as long. Half of each is left to chance. */
const FIRST_PAUSE_MS = 300;
/** No try begins later than this after the first one. */
const TRY_FOR_MS = 20_000;
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
 * not logged in yet. A drop teaches to make fewer at a time, half of them, and to wait before the next. When a connection
 * was dropped again and again while none got through, all who wait are told, and nobody tries for them.
 */
export class HandshakeGate {
  readonly #queue = new PQueue({ concurrency: AT_ONCE });
  readonly totals: GateTotals = { dropped: 0, retried: 0 };
  #shut = newController();
  #quietUntil = 0;
  #lastDrop = 0;
  #lastLogin = 0;
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
    const began = performance.now();
    for (let tries = 1; ; tries += 1) {
      const turn: { began?: number } = {};
      try {
        // The queue gets no signal: it would race with a connection that was just made, and drop it.
        const made = await this.#queue.add(() => this.#once(connect, over, turn), { priority });
        this.#loggedIn();
        return made;
      } catch (failure) {
        if (!isDrop(failure) || turn.began === undefined) throw failure;
        this.#dropped(turn.began, tries);
        const tooLate = performance.now() - began > TRY_FOR_MS;
        if (tries > TRIES_AGAIN || tooLate || isPenalty(failure)) throw this.#giveUp(failure, tries, began);
        this.totals.retried += 1;
        throwIfAborted(over);
      }
    }
  }

  async #once<T>(connect: (signal: AbortSignal) => Promise<T>, over: AbortSignal, turn: { began?: number }) {
    throwIfAborted(over);
    for (let wait = this.#pause(); wait > 0; wait = this.#pause()) await delay(wait, undefined, { signal: over });
    turn.began = performance.now();
    return connect(over);
  }

  /** How long nobody shall knock. Those who wait do not come all at once after it. */
  #pause(): number {
    const left = this.#quietUntil - performance.now();
    return left > 0 ? left + Math.random() * FIRST_PAUSE_MS : 0;
  }

  #loggedIn(): void {
    this.#lastLogin = performance.now();
    this.#calm += 1;
    if (this.#calm < CALM || this.#queue.concurrency === AT_ONCE) return;
    this.#calm = 0;
    this.#queue.concurrency += 1;
  }

  #dropped(began: number, tries: number): void {
    const now = performance.now();
    this.totals.dropped += 1;
    this.#calm = 0;
    // Those that were under way together are one lesson.
    if (began > this.#lastDrop) this.#queue.concurrency = Math.max(1, Math.floor(this.#queue.concurrency / 2));
    this.#lastDrop = now;
    const pause = FIRST_PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random() / 2);
    this.#quietUntil = Math.max(this.#quietUntil, now + pause);
    debug("dropped before the banner: %d at a time, %d ms of quiet", this.#queue.concurrency, Math.round(pause));
  }

  #giveUp(failure: PluginError, tries: number, began: number): PluginError {
    const what = failure.message.slice(
      `[${failure.code}] `.length,
      failure.hint ? -failure.hint.length - 1 : undefined,
    );
    const often =
      tries === 1 ? "" : ` It was tried ${tries} times in ${Math.round((performance.now() - began) / 100) / 10} s.`;
    const refused = new PluginError("box-refused", `${what}${often}`, { hint: failure.hint, cause: failure.cause });
    // Nobody else has got through meanwhile: more tries would only make a penalty longer.
    if (this.#lastLogin < began) {
      const shut = this.#shut;
      this.#shut = newController();
      shut.abort(refused);
    }
    return refused;
  }
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
