import type { AnyAuthMethod } from "ssh2";
import { PluginError } from "../contract/errors.ts";
import type { AskPerson } from "./ask-person.ts";
import type { ConnectOptions } from "./connect-options.ts";
import type { Target } from "./destination.ts";

/** Who logs in, and how a person is asked. */
export interface AskingContext {
  readonly target: Target;
  /** How often to ask. */
  readonly tries: number;
  /** Takes note of what was tried, for the final message. */
  readonly note: (what: string) => void;
  readonly ask: AskPerson;
  /** The connecting is over. */
  readonly signal: AbortSignal;
}

/** Offers the password that a callback knows, a few times as long as the answers differ. */
export class AskedPassword {
  readonly #password: NonNullable<ConnectOptions["password"]>;
  readonly #context: AskingContext;
  #asked = 0;
  #previous: string | undefined;

  constructor(password: NonNullable<ConnectOptions["password"]>, context: AskingContext) {
    this.#password = password;
    this.#context = context;
  }

  /** Asks; `undefined` if there is no other answer. Throws what the callback throws. */
  async next(): Promise<AnyAuthMethod | undefined> {
    const { target, tries, ask, note } = this.#context;
    if (this.#asked === tries) return undefined;
    this.#asked += 1;
    const { user, host } = target;
    const answer: unknown = await ask((signal) => this.#password({ user, host, signal }));
    if (answer === undefined || answer === this.#previous) return undefined;
    if (typeof answer !== "string") throw wrongAnswer("password", "a string or undefined");
    this.#previous = answer;
    note(`password of ${user}${attempt(this.#asked)}`);
    return { type: "password", username: user, password: answer };
  }
}

/** Lets a callback answer what the server asks, a few times as long as the answers differ. */
export class AskedAnswers {
  readonly #callback: NonNullable<ConnectOptions["keyboardInteractive"]>;
  readonly #context: AskingContext;
  readonly #fail: (failure: unknown) => void;
  #attempts = 0;
  #isSpent = false;
  /** What was answered in this attempt, and in the one before. */
  #given: string[] = [];
  #previous: string[] | undefined;

  /** @param fail told what the callback throws, because it is called after {@link next} */
  constructor(
    callback: NonNullable<ConnectOptions["keyboardInteractive"]>,
    context: AskingContext,
    fail: (failure: unknown) => void,
  ) {
    this.#callback = callback;
    this.#context = context;
    this.#fail = fail;
  }

  /** One more attempt; `undefined` if it would go as the last one. */
  async next(): Promise<AnyAuthMethod | undefined> {
    const { target, tries, note } = this.#context;
    const { user, host } = target;
    if (this.#attempts === tries || this.#isSpent || same(this.#given, this.#previous)) return undefined;
    this.#attempts += 1;
    if (this.#attempts > 1) this.#previous = this.#given;
    this.#given = [];
    // Until a question comes there is no reason to come back.
    this.#isSpent = true;
    note(`keyboard-interactive${attempt(this.#attempts)}`);
    return {
      type: "keyboard-interactive",
      username: user,
      prompt: (name, instructions, _language, prompts, finish) => {
        const questions = prompts.map(({ prompt, echo }) => ({ prompt, echo: echo ?? false }));
        void this.#answer({ user, host, name, instructions, prompts: questions }, finish);
      },
    };
  }

  /** Gives the answers to the server, or none where there are none. What goes wrong ends the connecting. */
  async #answer(
    question: Omit<Parameters<NonNullable<ConnectOptions["keyboardInteractive"]>>[0], "signal">,
    finish: (answers: string[]) => void,
  ): Promise<void> {
    const { ask, signal } = this.#context;
    let answers: readonly string[] = [];
    try {
      const given: unknown = await ask((over) => this.#callback({ ...question, signal: over }));
      if (given !== undefined) answers = checked(given);
      this.#isSpent = given === undefined;
      this.#given.push(...answers);
    } catch (failure) {
      this.#fail(failure);
    }
    // A connection that has ended meanwhile needs no answer.
    if (!signal.aborted) finish([...answers]);
  }
}

function attempt(number: number): string {
  return number > 1 ? `, attempt ${number}` : "";
}

function checked(given: unknown): readonly string[] {
  if (Array.isArray(given) && given.every((answer) => typeof answer === "string")) return given;
  throw wrongAnswer("keyboardInteractive", "an array of strings or undefined");
}

function same(answers: readonly string[], others: readonly string[] | undefined): boolean {
  return others?.length === answers.length && answers.every((answer, index) => answer === others[index]);
}

/** The answer is not repeated: it was meant to be a secret. */
function wrongAnswer(name: string, what: string): PluginError {
  return new PluginError("bad-options", `\`${name}\` must answer with ${what}.`);
}
