/** What may vary, and the values of each. */
export type Factors = Readonly<Record<string, readonly unknown[]>>;

/** One value for each. */
export type Row<F extends Factors> = { readonly [Name in keyof F]: F[Name][number] };

/**
 * Few rows in which every two values that can be together are together at least once. Faults mostly need one value or
 * two to show, so these find nearly what all combinations would.
 *
 * @param isPossible says which rows there are; a pair that is in none of them is left out
 */
export function pairwise<const F extends Factors>(factors: F, isPossible: (row: Row<F>) => boolean): Row<F>[] {
  const all = product(factors).filter(isPossible);
  const missing = new Set(all.flatMap(pairsOf));
  const rows: Row<F>[] = [];
  while (missing.size > 0) {
    const gain = (row: Row<F>) => pairsOf(row).filter((pair) => missing.has(pair)).length;
    const best = all.reduce((one, other) => (gain(other) > gain(one) ? other : one));
    rows.push(best);
    for (const pair of pairsOf(best)) missing.delete(pair);
  }
  return rows;
}

/** Every combination. */
export function product<const F extends Factors>(factors: F): Row<F>[] {
  let rows: Record<string, unknown>[] = [{}];
  for (const [name, values] of Object.entries(factors)) {
    rows = rows.flatMap((row) => values.map((value) => ({ ...row, [name]: value })));
  }
  return rows as Row<F>[];
}

/** Every two values of a row, as a text each. */
export function pairsOf(row: Readonly<Record<string, unknown>>): string[] {
  const values = Object.entries(row).map(([name, value]) => `${name}: ${String(value)}`);
  return values.flatMap((one, n) => values.slice(n + 1).map((other) => `${one}, ${other}`));
}
