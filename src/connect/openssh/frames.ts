/** More than any message of a control socket is long. */
const LONGEST = 16 * 1024 * 1024;

/** Cuts a stream of bytes into messages, each of which has its length in the four bytes before it. */
export class Frames {
  #rest: Buffer = Buffer.alloc(0);
  /** Whether a message came that cannot be one. Nothing is read from then on. */
  broken = false;

  /** The messages that are whole now. */
  push(chunk: Buffer): Buffer[] {
    const found: Buffer[] = [];
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (bytes.length >= 4 && !this.broken) {
      const end = 4 + bytes.readUInt32BE();
      this.broken = end > LONGEST;
      if (this.broken || bytes.length < end) break;
      found.push(bytes.subarray(4, end));
      bytes = bytes.subarray(end);
    }
    this.#rest = bytes;
    return found;
  }
}
