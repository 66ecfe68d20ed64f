/** Something that happened during a start. */
export interface Event {
  readonly atMs: number;
  readonly what: string;
}

/** What took one round trip, or more of them. */
export interface Trip {
  /** How many round trips had passed when it was over. */
  readonly at: number;
  /** How many of them it took. */
  readonly took: number;
  readonly what: string;
}

/** A start as it went: what was waited for, one after the other. */
export class Story {
  readonly #events: Event[] = [];
  #began = performance.now();

  /** Begins anew. */
  begin(): void {
    this.#events.length = 0;
    this.#began = performance.now();
  }

  /** Something has happened; only the first time counts. */
  note(what: string): void {
    if (this.knows(what)) return;
    this.#events.push({ what, atMs: performance.now() - this.#began });
  }

  knows(what: string): boolean {
    return this.#events.some((event) => event.what === what);
  }

  /** What has happened so far. */
  get events(): readonly Event[] {
    return this.#events;
  }
}

/**
 * Counts, from several starts that went the same way. Nothing can make a step quicker than its round trips, while a busy
 * machine makes it slower, so the shortest of each counts. What took less than half a round trip came together with what
 * was before, or was work: it is no trip of its own.
 */
export function tripsOf(starts: readonly (readonly Event[])[], roundTripMs: number): Trip[] {
  const trips: Trip[] = [];
  let at = 0;
  for (const { what, shortestMs } of stepsOf(starts)) {
    const took = Math.round(shortestMs / roundTripMs);
    at += took;
    const last = trips.at(-1);
    if (took > 0 || !last) trips.push({ at, took, what });
    else trips.splice(-1, 1, { ...last, what: `${last.what}, ${what}` });
  }
  return trips;
}

/** The steps of the starts that went as the quickest did. */
function stepsOf(starts: readonly (readonly Event[])[]): { what: string; shortestMs: number }[] {
  const [quickest = []] = [...starts].sort((one, other) => lastOf(one) - lastOf(other));
  const isAlike = (events: readonly Event[]) =>
    events.length === quickest.length && events.every(({ what }, n) => what === quickest[n]?.what);
  const gap = (events: readonly Event[], n: number) => (events[n]?.atMs ?? 0) - (events[n - 1]?.atMs ?? 0);
  const alike = starts.filter(isAlike);
  return quickest.map(({ what }, n) => ({ what, shortestMs: Math.min(...alike.map((events) => gap(events, n))) }));
}

/** When a start was over. */
export function lastOf(events: readonly Event[]): number {
  return events.at(-1)?.atMs ?? 0;
}
