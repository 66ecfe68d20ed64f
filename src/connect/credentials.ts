import createDebug from "debug";
import type { AnyAuthMethod } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { harmless } from "../lifetime/tail.ts";
import type { AskPerson } from "./ask-person.ts";
import { AskedAnswers, AskedPassword } from "./asked-secrets.ts";
import { type AuthenticationMethod, preferredMethods } from "./authentication-methods.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { Target } from "./destination.ts";
import { KeyOffers } from "./key-offers.ts";
import { sayUnknown } from "./say-unknown.ts";

const debug = createDebug("go-plugin-ssh:auth");

/** As OpenSSH's NumberOfPasswordPrompts. */
const PASSWORD_PROMPTS = 3;

const HINT =
  "Name a key in `identityFile`, load one into the agent, or give a `password` or `keyboardInteractive` callback.";
/** What helps where the server hung up, which it does after a few attempts (MaxAuthTries). */
const ENDED_HINT =
  "With many keys in the agent, name the right one in `identityFile`: it is offered first, and with `identitiesOnly` alone.";

/** Gives one thing after another to try, `undefined` when there is nothing left. */
interface Offers {
  next(): Promise<AnyAuthMethod | undefined>;
}

/** Offers what there is, in OpenSSH's order or that of `preferredAuthentications`, and keeps a list. */
export class Credentials {
  readonly #target: Target;
  readonly #keys: KeyOffers;
  readonly #methods: readonly AuthenticationMethod[];
  readonly #offers: Partial<Record<AuthenticationMethod, Offers>>;
  readonly #spent = new Set<AuthenticationMethod>();
  readonly #tried: string[] = [];
  #current: AuthenticationMethod | "none" | undefined;
  #hasAskedForMethods = false;
  #allowed: readonly string[] | undefined;
  /** What the server said last; for an agent's key ssh2 keeps it to itself. */
  #overheard: readonly string[] | undefined;
  /** What a callback threw: it ends the connecting and becomes the cause. */
  #failure: unknown;

  /** @throws {PluginError} `config-error` if `pubkeyAcceptedAlgorithms` leaves nothing to sign with */
  constructor(target: Target, options: ConnectOptions, ask: AskPerson, signal: AbortSignal) {
    const { passphrase, password, keyboardInteractive } = options.batchMode ? {} : options;
    const context = {
      target,
      tries: options.numberOfPasswordPrompts ?? PASSWORD_PROMPTS,
      note: (what: string) => this.note(what),
      ask,
      signal,
    };
    this.#target = target;
    this.#keys = new KeyOffers(options, {
      ...context,
      passphrase: passphrase && (async (file) => ask((over) => passphrase({ file, signal: over }))),
      fail: (failure) => this.#fail(failure),
    });
    this.#offers = {
      publickey: this.#keys,
      ...(password && { password: new AskedPassword(password, context) }),
      ...(keyboardInteractive && {
        "keyboard-interactive": new AskedAnswers(keyboardInteractive, context, (failure) => this.#fail(failure)),
      }),
    };
    const { order, unknown } = preferredMethods(options.preferredAuthentications);
    this.#methods = order;
    sayUnknown(options, "preferredAuthentications", unknown);
    sayUnknown(options, "pubkeyAcceptedAlgorithms", this.#keys.unknownAlgorithms);
  }

  /**
   * The next thing to offer, or `undefined` when nothing is left. Starts with a key at once, which saves the round
   * trip that asking for the allowed methods takes.
   *
   * @param allowed the methods that the server still takes; `undefined` before it has said so
   * @param partial whether what was offered last was right, and the server wants something more
   */
  async next(allowed: readonly string[] | undefined, partial = false): Promise<AnyAuthMethod | undefined> {
    this.#allowed = this.#overheard ?? allowed ?? this.#allowed;
    // What ssh2 says here is older than the last key that signs late; but one has to sign only with the right one.
    const byKey = this.#current === "publickey";
    if (byKey && this.#keys.isLate ? this.#keys.hasSigned : partial) this.#takeStep(byKey);
    while (this.#failure === undefined) {
      this.#current = this.#nextMethod();
      if (this.#current === undefined) return undefined;
      if (this.#current === "none") return { type: "none", username: this.#target.user };
      const offer = await this.#offerBy(this.#current);
      if (offer) return offer;
      this.#spent.add(this.#current);
    }
    return undefined;
  }

  /** Listens to what ssh2 tells of its work, because it passes on what the server takes after some answers only. */
  overhear(text: string): void {
    const [, methods] = /USERAUTH_FAILURE \((.*)\)$/.exec(text) ?? [];
    if (methods !== undefined) this.#overheard = methods.split(",");
  }

  /** Takes note of what was tried or went wrong on the way, for the final message. */
  note(what: string): void {
    const line = harmless(what);
    debug("%s", line);
    this.#tried.push(line);
  }

  /**
   * The error for a server that accepted nothing.
   *
   * @param said why the server ended it, in its own words, if it was the server that did
   */
  error(cause: unknown, said?: string): PluginError {
    const { user, host } = this.#target;
    const tried = this.#tried.length > 0 ? this.#tried.map((line) => `\n  - ${line}`).join("") : " nothing";
    const allowed = this.#allowed?.length ? harmless(this.#allowed.join(", ")) : "it did not say what";
    const left = this.#keys.agentKeysLeft;
    return new PluginError(
      "auth-failed",
      [
        `${host} did not let ${user} in${said === undefined ? "" : `: ${harmless(said)}`}.`,
        `Tried:${tried}`,
        ...(left === 0 ? [] : [`${left} more ${left === 1 ? "key" : "keys"} of the agent could not be tried.`]),
        `The server takes: ${allowed}.`,
        ...(this.#failure === undefined ? [] : ["One of the callbacks threw; `cause` is what it threw."]),
      ].join("\n"),
      { cause: this.#failure ?? cause, hint: said === undefined ? HINT : `${HINT} ${ENDED_HINT}` },
    );
  }

  /** The method whose turn it is. Which ones the server takes has to be known before anybody is asked for a secret. */
  #nextMethod(): AuthenticationMethod | "none" | undefined {
    const isOpen = (name: AuthenticationMethod) =>
      this.#offers[name] !== undefined && !this.#spent.has(name) && (this.#allowed?.includes(name) ?? true);
    const method = this.#methods.find(isOpen);
    if (this.#allowed || this.#hasAskedForMethods || method === "publickey") return method;
    this.#hasAskedForMethods = true;
    return "none";
  }

  async #offerBy(method: AuthenticationMethod): Promise<AnyAuthMethod | undefined> {
    try {
      return await this.#offers[method]?.next();
    } catch (failure) {
      this.#fail(failure);
      return undefined;
    }
  }

  /** The server took what was offered and wants more: keys that it would not have before may be what it wants now. */
  #takeStep(byKey: boolean): void {
    this.note(`that was right, and the server wants more`);
    this.#keys.startAgain(byKey);
    this.#spent.delete("publickey");
  }

  #fail(failure: unknown): void {
    this.#failure = failure ?? new PluginError("aborted", "A callback gave up.");
  }
}
