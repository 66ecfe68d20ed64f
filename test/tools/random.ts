/** Numbers that look random and are the same in every run: what fails once fails again. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** At least 0, less than `limit`. The generator is mulberry32. */
  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * limit);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** A list of `length` things. */
  times<T>(length: number, make: (index: number) => T): T[] {
    return Array.from({ length }, (_, index) => make(index));
  }

  /** A copy of `bytes` with up to three things wrong: bytes flipped, lost, doubled or slipped in. */
  mutate(bytes: Buffer, slips: readonly (string | Buffer)[]): Buffer {
    let mutated = bytes;
    for (let left = 1 + this.below(3); left > 0; left -= 1) {
      const at = this.below(mutated.length + 1);
      const length = this.below(2) === 0 ? 1 : this.below(20);
      const [before, part, after] = [mutated.subarray(0, at), mutated.subarray(at, at + length), mutated.subarray(at)];
      const rest = after.subarray(part.length);
      const kinds = [
        () => [before, part.map((byte) => byte ^ (1 << this.below(8))), rest],
        () => [before, rest],
        () => [before, part, part, rest],
        () => [before, Buffer.from(this.pick(slips)), after],
        () => [before],
      ];
      mutated = Buffer.concat(this.pick(kinds)());
    }
    return mutated;
  }

  /** `bytes` in pieces of up to `longest` bytes. */
  cut(bytes: Buffer, longest: number): Buffer[] {
    const chunks: Buffer[] = [];
    for (let at = 0; at < bytes.length; ) {
      const chunk = bytes.subarray(at, at + 1 + this.below(longest));
      chunks.push(chunk);
      at += chunk.length;
    }
    return chunks;
  }
}
