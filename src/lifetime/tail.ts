/** Enough for a stack trace or a usage text; an error message must stay readable. */
const DEFAULT_LIMIT = 4 * 1024;

/** Keeps the last few kilobytes of what passed, to be quoted in an error message. */
export class Tail {
  readonly #limit: number;
  #chunks: Buffer[] = [];
  #length = 0;
  #cut = false;

  /** @param limit how many bytes to keep */
  constructor(limit = DEFAULT_LIMIT) {
    this.#limit = limit;
  }

  /** Takes note of `chunk`. */
  push(chunk: Uint8Array): void {
    // A copy of the part that counts, so that a big buffer is not kept alive for its last bytes.
    this.#chunks.push(Buffer.from(chunk.subarray(-this.#limit)));
    if (chunk.length > this.#limit) this.#cut = true;
    this.#length += Math.min(chunk.length, this.#limit);
    while (this.#length > this.#limit) {
      const first = this.#chunks[0] as Buffer;
      const surplus = this.#length - this.#limit;
      this.#cut = true;
      if (first.length <= surplus) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(surplus);
      this.#length -= Math.min(first.length, surplus);
    }
  }

  /** What was kept, safe to print; `…` in front where something was dropped. */
  toString(): string {
    return (this.#cut ? "…" : "") + harmless(Buffer.concat(this.#chunks).toString("utf8"));
  }
}

/**
 * Makes foreign text safe for a terminal and a log: control characters, which could move the cursor or start escape
 * sequences, become visible. Line ends and tabs stay.
 */
export function harmless(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) => {
      return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
    });
}
