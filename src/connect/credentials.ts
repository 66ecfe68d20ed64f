import createDebug from "debug";
import type { AnyAuthMethod, ParsedKey } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import { harmless } from "../lifetime/tail.ts";
import { agentKeys } from "./agent-keys.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { Target } from "./destination.ts";
import { fingerprint } from "./host-key.ts";
import { expandHome, type IdentityFile, identityFiles, loadKey, publicHalf } from "./identity-files.ts";

const debug = createDebug("go-plugin-ssh:auth");

/** As OpenSSH's NumberOfPasswordPrompts. */
const PASSWORD_PROMPTS = 3;

const HINT =
  "Name a key in `identityFile`, load one into the agent, or give a `password` or `keyboardInteractive` callback.";
/** What helps where the server hung up, which it does after a few attempts (MaxAuthTries). */
const ENDED_HINT = "With many keys in the agent, name the right one in `identityFile`: it is offered first.";

/** One thing to try, and the SSH method that it counts as. It may turn out to have nothing to offer. */
interface Attempt {
  method: "publickey" | "password" | "keyboard-interactive" | "none";
  make(): Promise<AnyAuthMethod | undefined>;
}

/** Runs a caller's callback while the connection's deadline stands still, because a person may have to answer. */
export type AskPerson = <T>(ask: (signal: AbortSignal) => Promise<T> | T) => Promise<T>;

/** Offers what there is, in OpenSSH's order (agent, key files, keyboard-interactive, password), and keeps a list. */
export class Credentials {
  readonly #target: Target;
  readonly #options: ConnectOptions;
  readonly #ask: AskPerson;
  readonly #signal: AbortSignal;
  readonly #attempts: Attempt[] = [];
  readonly #tried: string[] = [];
  readonly #offered: Buffer[] = [];
  #allowed: readonly string[] | undefined;
  /** What a callback threw: it ends the connecting and becomes the cause. */
  #failure: unknown;

  constructor(target: Target, options: ConnectOptions, ask: AskPerson, signal: AbortSignal) {
    this.#target = target;
    this.#options = options;
    this.#ask = ask;
    this.#signal = signal;
    this.#plan();
  }

  /**
   * The next thing to offer, or `undefined` when nothing is left. Starts with a key at once, which saves the round
   * trip that asking for the allowed methods takes.
   *
   * @param allowed the methods that the server still takes; `undefined` before it has said so
   */
  async next(allowed: readonly string[] | undefined): Promise<AnyAuthMethod | undefined> {
    this.#allowed = allowed ?? this.#allowed;
    while (this.#failure === undefined) {
      const index = this.#attempts.findIndex(({ method }) => !allowed || method === "none" || allowed.includes(method));
      const [attempt] = index === -1 ? [] : this.#attempts.splice(index, 1);
      if (!attempt) return undefined;
      try {
        const offer = await attempt.make();
        if (offer) return offer;
      } catch (failure) {
        this.#fail(failure);
      }
    }
    return undefined;
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
    return new PluginError(
      "auth-failed",
      [
        `${host} did not let ${user} in${said === undefined ? "" : `: ${harmless(said)}`}.`,
        `Tried:${tried}`,
        `The server takes: ${allowed}.`,
        ...(this.#failure === undefined ? [] : ["One of the callbacks threw; `cause` is what it threw."]),
      ].join("\n"),
      { cause: this.#failure ?? cause, hint: said === undefined ? HINT : `${HINT} ${ENDED_HINT}` },
    );
  }

  #plan(): void {
    const { identityAgent = process.env.SSH_AUTH_SOCK, password, keyboardInteractive } = this.#options;
    const files = identityFiles(this.#options);
    if (identityAgent && identityAgent !== "none") {
      this.#attempts.push({ method: "publickey", make: () => this.#agent(expandHome(identityAgent), files) });
    }
    for (const file of files) this.#attempts.push({ method: "publickey", make: () => this.#keyFile(file) });
    // Without keys the server has to be asked what it takes.
    this.#attempts.push({ method: "none", make: () => this.#none() });
    if (keyboardInteractive) {
      this.#attempts.push({
        method: "keyboard-interactive",
        make: () => this.#keyboardInteractive(keyboardInteractive),
      });
    }
    if (password) this.#attempts.push({ method: "password", make: () => this.#password(password, 1, undefined) });
  }

  async #agent(socket: string, files: readonly IdentityFile[]): Promise<AnyAuthMethod | undefined> {
    try {
      const preferred = await Promise.all(files.map(({ file }) => publicHalf(file)));
      const { agent, keys } = await agentKeys(
        socket,
        preferred.filter((blob) => blob !== undefined),
        this.#signal,
      );
      for (const key of keys) {
        this.note(`agent key ${describe(key)}`);
        this.#offered.push(key.getPublicSSH());
      }
      if (keys.length === 0) this.note(`the agent at ${socket} holds no keys`);
      return keys.length === 0 ? undefined : { type: "agent", username: this.#target.user, agent };
    } catch (failure) {
      this.note(`the agent at ${socket} cannot be used (${(failure as Error).message})`);
      return undefined;
    }
  }

  async #keyFile({ file, explicit }: IdentityFile): Promise<AnyAuthMethod | undefined> {
    // What the agent has offered was refused; nobody needs to unlock it once more.
    if (this.#wasOffered(await publicHalf(file))) return undefined;
    const { passphrase } = this.#options;
    const ask = () => passphrase && this.#ask((signal) => passphrase({ file, signal }));
    const loaded = await loadKey(file, async () => ask());
    if ("why" in loaded) {
      if (explicit || !loaded.missing) this.note(`key file ${file}: ${loaded.why}`);
      return undefined;
    }
    const { key } = loaded;
    if (this.#wasOffered(key.getPublicSSH())) return undefined;
    this.#offered.push(key.getPublicSSH());
    this.note(`key file ${file}: ${describe(key)}`);
    return { type: "publickey", username: this.#target.user, key: key as unknown as Buffer };
  }

  #wasOffered(key: Buffer | undefined): boolean {
    return key !== undefined && this.#offered.some((blob) => blob.equals(key));
  }

  async #none(): Promise<AnyAuthMethod | undefined> {
    return this.#allowed ? undefined : { type: "none", username: this.#target.user };
  }

  async #password(
    password: NonNullable<ConnectOptions["password"]>,
    attempt: number,
    previous: string | undefined,
  ): Promise<AnyAuthMethod | undefined> {
    const { user, host } = this.#target;
    const answer = await this.#ask((signal) => password({ user, host, signal }));
    if (answer === undefined || answer === previous) return undefined;
    if (typeof answer !== "string") throw wrongAnswer("password", "a string or undefined");
    this.note(`password of ${user}${attempt > 1 ? `, attempt ${attempt}` : ""}`);
    if (attempt < PASSWORD_PROMPTS) {
      this.#attempts.push({ method: "password", make: () => this.#password(password, attempt + 1, answer) });
    }
    return { type: "password", username: user, password: answer };
  }

  async #keyboardInteractive(
    callback: NonNullable<ConnectOptions["keyboardInteractive"]>,
  ): Promise<AnyAuthMethod | undefined> {
    this.note("keyboard-interactive");
    return {
      type: "keyboard-interactive",
      username: this.#target.user,
      prompt: (name, instructions, _language, prompts, finish) => {
        const questions = prompts.map(({ prompt, echo }) => ({ prompt, echo: echo ?? false }));
        const ask = () => this.#ask((signal) => callback({ name, instructions, prompts: questions, signal }));
        void this.#answer(questions.length === 0 ? async () => [] : ask, finish);
      },
    };
  }

  /** Gives the answers to the server, or none where there are none. What goes wrong ends the connecting. */
  async #answer(ask: () => Promise<readonly string[] | undefined>, finish: (answers: string[]) => void): Promise<void> {
    let answers: string[] = [];
    try {
      const given: unknown = (await ask()) ?? [];
      if (!Array.isArray(given) || given.some((answer) => typeof answer !== "string")) {
        throw wrongAnswer("keyboardInteractive", "an array of strings or undefined");
      }
      answers = given;
    } catch (failure) {
      this.#fail(failure);
    }
    // A connection that has ended meanwhile needs no answer.
    if (!this.#signal.aborted) finish([...answers]);
  }

  #fail(failure: unknown): void {
    this.#failure = failure ?? new PluginError("aborted", "A callback gave up.");
  }
}

/** The answer is not repeated: it was meant to be a secret. */
function wrongAnswer(name: string, what: string): PluginError {
  return new PluginError("bad-options", `\`${name}\` must answer with ${what}.`);
}

function describe(key: ParsedKey): string {
  return `${key.type} ${fingerprint(key.getPublicSSH())}${key.comment ? ` (${key.comment})` : ""}`;
}
