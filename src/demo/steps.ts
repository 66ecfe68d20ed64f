import { wrap } from "./wrap.ts";

/** One step of the story, as `--json` prints it. */
export interface Step {
  readonly step: string;
  /** How long it took, in milliseconds. */
  readonly ms: number;
  /** What happened, in plain words; each line a sentence. */
  readonly text: string;
}

/** Takes the steps as they happen. */
export type Tell = (step: Step) => void;

/** Measures from one step to the next. */
export class Clock {
  #since = performance.now();

  /** Milliseconds since the last lap, or since the start. */
  lap(): number {
    const now = performance.now();
    const ms = now - this.#since;
    this.#since = now;
    return ms;
  }
}

/** The longest name of a step. */
const NAME_COLUMNS = 9;
const MS_COLUMNS = 5;

/**
 * A step of the story for people: `  connect       85 ms  Logged in …`, wrapped between words, with every further line
 * below the first one's text.
 *
 * @param columns how wide a line may be; a longer word, a path for example, stays whole
 */
export function formatStep({ step, ms, text }: Step, columns = 80): string {
  const head = `  ${step.padEnd(NAME_COLUMNS)} ${ms.toFixed(0).padStart(MS_COLUMNS)} ms  `;
  const lines = text.split("\n").flatMap((line) => wrap(line, columns - head.length));
  return head + lines.join(`\n${" ".repeat(head.length)}`);
}
