import type { WayName } from "./ways/way.ts";

/** What is counted, and which end of the scale is the good one. */
export interface Figure {
  readonly name: string;
  readonly unit: "ms" | "MB/s" | "1/s";
}

/** What one way has reached in one figure. */
export interface Score {
  /** The median of the rounds. */
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
  /**
   * How many times as long as over `ssh -L` it took: the median of the rounds' own quotients, because noise that hits a
   * whole round hits both. Above 1 is slower, whatever the unit. `null` where there is nothing to compare with.
   */
  readonly ratio: number | null;
}

/** One line of the table. `null` where a way has no such thing. */
export interface Line {
  readonly row: string;
  readonly figure: string;
  readonly unit: Figure["unit"];
  readonly ways: Record<WayName, Score | null>;
}

/** All that was measured over one network. */
export interface NetworkResult {
  readonly name: "loopback" | "wan";
  readonly roundTripMs: number;
  readonly rounds: number;
  readonly lines: readonly Line[];
}

/** Where and how it was measured. */
export interface Circumstances {
  readonly date: string;
  readonly machine: string;
  readonly versions: Record<"package" | "node" | "ssh2" | "openssh" | "go" | "goPlugin", string>;
  readonly cipher: string;
  readonly autoMtls: boolean;
  readonly quick: boolean;
  /** How many processes wanted a processor, in the last minute before and after. */
  readonly load: { readonly before: number; readonly after: number };
}

/** What `npm run bench -- --json` prints. */
export interface BenchResult {
  readonly circumstances: Circumstances;
  readonly networks: readonly NetworkResult[];
}

/** Whether more of it is worse. */
export function isTime({ unit }: Pick<Figure, "unit">): boolean {
  return unit === "ms";
}
