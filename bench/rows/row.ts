import type { Hosted, Manner } from "../hosted.ts";
import type { Figure } from "../result.ts";
import type { Way } from "../ways/way.ts";

/** How much of everything one round takes. */
export interface Scale {
  /** Calls one after the other. */
  readonly calls: number;
  readonly streamBytes: number;
  readonly connections: number;
  readonly callbacks: number;
}

/** One way over one network, with the plugins that run there. */
export interface Bed {
  readonly way: Way;
  readonly scale: Scale;
  readonly autoMtls: boolean;
  /** A plugin of this kind, started at the first question. */
  hosted(manner: Manner): Promise<Hosted>;
}

/** Something that is measured, in one or more figures. */
export interface Row {
  /** For `--only`. */
  readonly name: string;
  /** What it says about a way, for people. */
  readonly what: string;
  readonly figures: readonly Figure[];
  /** Takes one sample of each figure; nothing where the way has no such thing. */
  measure(bed: Bed): Promise<readonly number[] | undefined>;
}
