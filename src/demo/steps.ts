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

/** A line of the story for people: `  connect      85 ms  Logged in …`. */
export function formatStep({ step, ms, text }: Step): string {
  const [first = "", ...rest] = text.split("\n");
  const indent = " ".repeat(25);
  return [`  ${step.padEnd(10)} ${ms.toFixed(0).padStart(6)} ms  ${first}`, ...rest.map((line) => indent + line)].join(
    "\n",
  );
}
