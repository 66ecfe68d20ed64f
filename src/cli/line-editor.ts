/** What came of the keys that were pressed so far. */
export type LineState =
  | { readonly is: "typing" }
  | { readonly is: "done"; readonly line: string }
  /** Control-D with nothing typed: no answer. */
  | { readonly is: "given-up" }
  /** Control-C. */
  | { readonly is: "interrupted" };

/** Erases the last character of a terminal's line. */
const ERASE = "\b \b";
const TYPING = { is: "typing" } as const;

/** One line as it is typed on a terminal that sends every key at once. */
export class LineEditor {
  readonly #show: (text: string) => void;
  #typed: string[] = [];

  /** @param show puts text on the terminal; not called where what is typed must not be seen */
  constructor(show: (text: string) => void) {
    this.#show = show;
  }

  /** Takes the keys until one of them ends the line; what follows that one is dropped. */
  press(keys: string): LineState {
    for (const key of keys) {
      const state = this.#pressOne(key);
      if (state.is !== "typing") return state;
    }
    return TYPING;
  }

  #pressOne(key: string): LineState {
    switch (key) {
      case "\r":
      case "\n":
        return { is: "done", line: this.#typed.join("") };
      case "\u0003":
        return { is: "interrupted" };
      case "\u0004":
        if (this.#typed.length === 0) return { is: "given-up" };
        break;
      case "\b":
      case "\u007f":
        this.#erase(1);
        break;
      case "\u0015":
        this.#erase(this.#typed.length);
        break;
      default:
        // Other control characters have no place in an answer.
        if (/^\P{Cc}$/u.test(key)) {
          this.#typed.push(key);
          this.#show(key);
        }
    }
    return TYPING;
  }

  #erase(count: number): void {
    this.#show(ERASE.repeat(this.#typed.splice(this.#typed.length - count, count).length));
  }
}
