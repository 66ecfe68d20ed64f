/**
 * How many ids that were passed over are remembered. As many opens may be under way in Go at once, each of which has
 * an id and has not yet written its frame.
 */
const MOST_LATE = 256;

/**
 * Tells new stream ids of the other side from used ones. They need not come in order: two goroutines that open at once
 * may swap places.
 */
export class PeerIds {
  readonly #late = new Set<number>();
  /** The least id that no stream has come up to. */
  #next: number;

  /** @param first 1 if the other side is the client, 2 if it is the server */
  constructor(first: number) {
    this.#next = first;
  }

  /** Whether the other side may open a stream with `id`. It may not do so twice. */
  claim(id: number): boolean {
    if (id === 0 || id % 2 !== this.#next % 2) return false;
    if (id < this.#next) return this.#late.delete(id);
    for (let late = Math.max(this.#next, id - 2 * MOST_LATE); late < id; late += 2) this.#late.add(late);
    this.#next = id + 2;
    for (const oldest of this.#late) {
      if (this.#late.size <= MOST_LATE) break;
      this.#late.delete(oldest);
    }
    return true;
  }
}
