import { within } from "../../lifetime/deadline.ts";
import type { Target } from "../destination.ts";
import type { Step } from "../ssh2-errors.ts";
import type { Errand } from "./errand.ts";

/** An attempt to connect, as far as its way needs to know it. */
export interface Attempted {
  readonly target: Target;
  /** What it is for, if it is a jump host itself. */
  readonly errand: Errand | undefined;
  /** Told how far the connecting has come. */
  entered(step: Step): void;
  /** The deadline of the whole. */
  readonly timer: Pick<Errand, "pausedDuring">;
  /** How it ends. When it fails, by its deadline for example, the opening of the way ends with it. */
  readonly outcome: Promise<unknown>;
}

/**
 * Opens the way of an attempt, through jump hosts which are told what they are for.
 *
 * @throws what the attempt failed with meanwhile, or what `open` threw; a way that comes too late is closed
 */
export function onErrand<W extends { close(): unknown }>(
  { target, errand, entered, timer, outcome }: Attempted,
  open: (errand: Errand, over: AbortSignal) => Promise<W>,
): Promise<W> {
  const own: Errand = {
    towards: [...(errand?.towards ?? []), target],
    entered,
    pausedDuring: (task) => timer.pausedDuring(task),
  };
  const late = new AbortController();
  outcome.catch((reason) => late.abort(reason));
  return within(
    { until: [late.signal] },
    (over) => open(own, over),
    (way) => way.close(),
  );
}
